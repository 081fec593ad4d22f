"""Multinomial logistic regression on features whose axes are already their principal ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Wide = NDArray[np.float64]


class SoftmaxRegression:
    """Minimizes strength * sum of weighted log losses + half the squared coefficients; the intercepts are free.

    `rows` (rows, axes), `targets` (rows,) and, for every row, its weight. Fitted are `coefficients`
    (classes, axes) and `intercepts` (classes,) of the `present` classes; a fit begins where the last ended.
    Between two classes the penalty is that of a single vector, as scikit-learn has it, whose solution
    this is; it takes a fraction of the steps, since each unknown is first scaled by the bound on its
    curvature (Böhning 1992, Multinomial logistic regression algorithm), which is nearly diagonal on
    principal axes. Products are in float32.
    """

    def __init__(self, rows: Matrix, targets: NDArray[np.int64], weights: Wide) -> None:
        self.rows, self.weights = rows, weights
        self.present, self._places = np.unique(targets, return_inverse=True)
        count = len(self.present)
        self.coefficients, self.intercepts = np.zeros((count, rows.shape[1])), np.zeros(count)
        spread = (1 - 1 / count) / count
        self._curvature = spread * (weights @ np.square(rows, dtype=np.float64))
        self._free_curvature = spread * weights.sum()

    def fit(self, strength: float, *, tolerance: float, steps: int = 200) -> None:
        """Solve for one strength; `tolerance` is the largest scaled gradient left, relative to the weights' sum."""
        from scipy.optimize import minimize

        penalty = (2 if len(self.present) == 2 else 1) / strength
        scale = 1 / np.sqrt(np.append(self._curvature + penalty, self._free_curvature))
        begin = np.column_stack([self.coefficients, self.intercepts]) / scale
        total = self.weights.sum()

        def objective(unknown: Wide) -> tuple[float, Wide]:
            held = unknown.reshape(begin.shape) * scale
            loss, gradient = self._loss(held)
            held[:, -1] = 0  # no penalty
            value = loss + penalty / 2 * float(np.square(held).sum())
            return value / total, ((gradient + penalty * held) * scale).ravel() / total

        options = {"maxiter": steps, "gtol": tolerance / np.sqrt(total), "ftol": 0.0}
        found: Any = minimize(objective, begin.ravel(), jac=True, method="L-BFGS-B", options=options)
        held = found.x.reshape(begin.shape) * scale
        self.coefficients, self.intercepts = held[:, :-1], held[:, -1]

    def log_scores(self, rows: Matrix) -> Wide:
        """Log probabilities (rows, present classes)."""
        return _log_softmax(rows @ self.coefficients.T.astype(np.float32) + self.intercepts)

    def _loss(self, held: Wide) -> tuple[float, Wide]:
        logits = self.rows @ held[:, :-1].T.astype(np.float32) + held[:, -1]
        scores = _log_softmax(logits)
        everyone = np.arange(len(scores))
        loss = -float(self.weights @ scores[everyone, self._places])
        residuals = np.exp(scores)
        residuals[everyone, self._places] -= 1
        residuals *= self.weights[:, None]
        return loss, np.column_stack([residuals.T.astype(np.float32) @ self.rows, residuals.sum(0)])


def _log_softmax(logits: NDArray[Any]) -> Wide:
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    result: Wide = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result
