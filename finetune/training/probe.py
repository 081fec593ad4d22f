"""Logistic regression on pooled features, its strength chosen by grouped cross-validation."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from finetune.training.softmax import Matrix, SoftmaxRegression

STRENGTHS = tuple(float(10**exponent) for exponent in (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0))
"""Inverse strengths of the penalty that are tried, for features of unit variance."""
_FALLBACK = 10**-1.5
_FOLDS = 5
_PATIENCE = 2
"""Strengths without a lower loss after which no weaker penalty is tried."""
_RANK_TOLERANCE = 1e-5


@dataclass(frozen=True)
class ProbeData:
    """Pooled features (images, views, features), targets (images,) and the group of each image.

    `blocks` are the widths of runs of features that share one scale, in order; without any, each
    feature is brought to unit variance by itself.
    """

    features: Matrix
    targets: NDArray[np.int64]
    groups: NDArray[Any]
    classes: int
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Probe:
    """A linear classifier: `weight` (classes, features), `bias` (classes,), `strength` as in STRENGTHS.

    `loss` is the log loss out of fold, every class weighing the same. `folds` is 0 where the data
    allow no cross-validation; then `strength` was not chosen by it, and `loss` is NaN.
    """

    weight: Matrix
    bias: Matrix
    strength: float
    folds: int
    loss: float = math.nan


def solve_probe(data: ProbeData, seed: int) -> Probe:
    """A multinomial logistic regression with an L2 penalty, in which every class weighs the same.

    Features are standardized and rotated once, into as few dimensions as they span; the penalty
    does not see a rotation, so that every strength and fold shares this one decomposition
    (Hastie and Tibshirani 2004, Efficient quadratic regularization for expression arrays).

    BLAS runs on one thread: numpy's and scipy's each have their own, and on such thin matrices they mostly
    wait for each other (3.4 s in place of 0.45 for 1,016 rows of 1,280 features on 2 cores).
    """
    with threadpool_limits(1, user_api="blas"):
        return _solve(data, seed)


def _solve(data: ProbeData, seed: int) -> Probe:
    center = data.features.mean((0, 1), dtype=np.float64).astype(np.float32)
    scale = _scales(data)
    standard = (data.features - center) / scale
    images, views, width = standard.shape
    axes = _principal_axes(standard.reshape(images * views, width))
    rotated = standard @ axes  # (images, views, rank)
    strength, folds, loss = _choose_strength(rotated, data, seed)
    model = _regression(rotated, data.targets)
    model.fit(strength, tolerance=1e-5)
    coefficients, intercept = _as_classes(model, data.classes)
    weight = (coefficients @ axes.T) / scale
    return Probe(weight.astype(np.float32), (intercept - weight @ center).astype(np.float32), strength, folds, loss)


def _scales(data: ProbeData) -> Matrix:
    """What each feature is divided by: its standard deviation, or the mean one of its block; infinite for constants."""
    spread = data.features.std((0, 1), dtype=np.float64)
    is_constant = spread <= _RANK_TOLERANCE * spread.max(initial=0)
    if data.blocks:
        ends = np.cumsum(data.blocks)[:-1]
        means = [block.mean() for block in np.split(spread, ends)]
        spread = np.repeat(means, data.blocks)
    return np.where(is_constant, np.inf, spread).astype(np.float32)


def _principal_axes(rows: Matrix) -> Matrix:
    """Orthonormal axes (features, rank) of the space that the rows span, by the smaller of the two Gram matrices."""
    is_wide = rows.shape[1] > rows.shape[0]
    values, vectors = np.linalg.eigh((rows @ rows.T if is_wide else rows.T @ rows).astype(np.float64))
    kept = values > max(_RANK_TOLERANCE * values[-1], np.finfo(np.float32).tiny)
    if not kept.any():  # no feature varies
        return np.zeros((rows.shape[1], 1), dtype=np.float32)
    axes = (rows.T @ vectors[:, kept]) / np.sqrt(values[kept]) if is_wide else vectors[:, kept]
    return axes.astype(np.float32)


def _choose_strength(rotated: Matrix, data: ProbeData, seed: int) -> tuple[float, int, float]:
    """The strength with the least log loss out of fold, every class weighing the same; the folds; that loss.

    With `blocks`, where gradient steps follow, the strongest penalty within one standard error of
    that: small weights pass small steps of the layers below on as small ones.

    An image is judged where some of its class are left inside: a class that lies in one group says
    nothing about the strength, and keeps nobody else from saying it.
    """
    targets, losses, error = data.targets, list[float](), 0.0
    folds = [_Fold(rotated, targets, *places) for places in _make_folds(data, seed)]
    judged = [fold for fold in folds if fold.is_judged]
    if not judged:
        return _FALLBACK, 0, math.nan
    outside = np.concatenate([fold.outside for fold in judged])
    weights = 1 / np.bincount(targets[outside])[targets[outside]]
    for strength in STRENGTHS:
        of_images = np.concatenate([fold.losses(strength) for fold in judged])
        losses.append(float(np.average(of_images, weights=weights)))
        if losses[-1] == min(losses):
            error = float(np.sqrt(np.square(weights * (of_images - losses[-1])).sum()) / weights.sum())
        if len(losses) - 1 - int(np.argmin(losses)) == _PATIENCE:
            break  # weaker penalties cost the most steps, and would lose again
    enough = min(losses) + (error if data.blocks else 0.0)
    return next(one for one, loss in zip(STRENGTHS, losses, strict=False) if loss <= enough), len(folds), min(losses)


class _Fold:
    """One part of the images to fit on, `inside`, and one to judge, `outside`; each fit begins where the last ended."""

    def __init__(
        self, rotated: Matrix, targets: NDArray[np.int64], inside: NDArray[Any], outside: NDArray[Any]
    ) -> None:
        self.model = _regression(rotated[inside], targets[inside])
        self.outside = outside[np.isin(targets[outside], self.model.present)]
        self.is_judged = len(self.model.present) > 1 and len(self.outside) > 0
        self._rows = rotated[self.outside, 0]
        self._places = np.searchsorted(self.model.present, targets[self.outside])

    def losses(self, strength: float) -> NDArray[np.float64]:
        """Log loss of each image outside."""
        self.model.fit(strength, tolerance=3e-4)
        scores = self.model.log_scores(self._rows)[np.arange(len(self._rows)), self._places]
        losses: NDArray[np.float64] = -np.maximum(scores, -50)
        return losses


def _make_folds(data: ProbeData, seed: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Places inside and outside each fold; as many folds as the second largest class has groups, none below two."""
    from sklearn.model_selection import StratifiedGroupKFold

    targets, groups = data.targets, data.groups
    sizes = sorted(len(np.unique(groups[targets == target])) for target in np.unique(targets))
    folds = min(_FOLDS, sizes[-2]) if len(sizes) > 1 else 0
    if folds < 2:
        return []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(targets, targets, groups))


def _regression(rotated: Matrix, targets: NDArray[np.int64]) -> SoftmaxRegression:
    """Over every view; the views of an image share its weight, and every class weighs the same."""
    images, views, rank = rotated.shape
    counts = np.bincount(targets)
    balanced = images / (np.count_nonzero(counts) * counts[targets])
    return SoftmaxRegression(
        rotated.reshape(images * views, rank), np.repeat(targets, views), np.repeat(balanced / views, views)
    )


def _as_classes(model: SoftmaxRegression, classes: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Coefficients (classes, rank) and intercepts; a class without images is never answered."""
    weight = np.zeros((classes, model.coefficients.shape[1]))
    bias = np.full(classes, float(model.intercepts.min()) - 10)
    weight[model.present], bias[model.present] = model.coefficients, model.intercepts
    return weight, bias
