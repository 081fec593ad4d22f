"""Logistic regression on pooled features, its strength chosen by grouped cross-validation."""

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # scikit-learn takes a second to import, and `finetune plan` needs no head
    from sklearn.linear_model import LogisticRegression

Matrix = NDArray[np.float32]

STRENGTHS = tuple(float(10**exponent) for exponent in (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0))
"""Inverse strengths of the penalty that are tried, for features of unit variance."""
_FALLBACK = 10**-1.5
_FOLDS = 5
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
    """
    center = data.features.mean((0, 1), dtype=np.float64).astype(np.float32)
    scale = _scales(data)
    standard = (data.features - center) / scale
    images, views, width = standard.shape
    axes = _principal_axes(standard.reshape(images * views, width))
    rotated = standard @ axes  # (images, views, rank)
    strength, folds, loss = _choose_strength(rotated, data, seed)
    model = _fit(rotated, data.targets, strength, _regression(tolerance=1e-5))
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

    An image is judged where some of its class are left inside: a class that lies in one group says
    nothing about the strength, and keeps nobody else from saying it.
    """
    targets, folds = data.targets, _make_folds(data, seed)
    losses, judged = np.zeros((len(STRENGTHS), len(targets))), np.zeros(len(targets), dtype=bool)
    for inside, outside in folds:
        present = np.unique(targets[inside])
        outside = outside[np.isin(targets[outside], present)]
        if len(present) < 2 or not len(outside):
            continue
        model = _regression(tolerance=1e-3)
        for number, strength in enumerate(STRENGTHS):
            _fit(rotated[inside], targets[inside], strength, model)
            with np.errstate(divide="ignore"):  # a class may be ruled out to the last bit
                scores = model.predict_log_proba(rotated[outside, 0])
            place = np.searchsorted(model.classes_, targets[outside])
            losses[number, outside] = -np.maximum(scores[np.arange(len(outside)), place], -50)
        judged[outside] = True
    if not judged.any():
        return _FALLBACK, 0, math.nan
    weights = judged / np.bincount(targets[judged], minlength=data.classes).clip(1)[targets]
    means = losses @ weights / weights.sum()
    return STRENGTHS[int(means.argmin())], len(folds), float(means.min())


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


def _regression(tolerance: float) -> "LogisticRegression":
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(class_weight="balanced", max_iter=300, tol=tolerance, warm_start=True)


def _fit(
    rotated: Matrix, targets: NDArray[np.int64], strength: float, model: "LogisticRegression"
) -> "LogisticRegression":
    """Fit `model` to every view, from where it stands; the views of an image share its weight."""
    from sklearn.exceptions import ConvergenceWarning

    images, views, rank = rotated.shape
    model.set_params(C=strength)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly separable at weak penalties: good enough
        model.fit(
            rotated.reshape(images * views, rank),
            np.repeat(targets, views),
            sample_weight=np.full(images * views, 1 / views),
        )
    return model


def _as_classes(model: "LogisticRegression", classes: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Coefficients (classes, rank) and intercepts; a class without images is never answered."""
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        coefficients, intercepts = (
            np.concatenate([-coefficients, coefficients]) / 2,
            np.concatenate([-intercepts, intercepts]) / 2,
        )
    weight = np.zeros((classes, coefficients.shape[1]))
    bias = np.full(classes, float(intercepts.min()) - 10)
    weight[model.classes_], bias[model.classes_] = coefficients, intercepts
    return weight, bias
