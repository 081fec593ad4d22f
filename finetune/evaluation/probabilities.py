"""Measures of the scores as probabilities: log loss, Brier score, calibration error."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CALIBRATION_BINS = 10
_SUM_TOLERANCE = 0.01


def are_probabilities(scores: Floats) -> bool:
    """Whether every row lies in [0, 1] and sums to 1, within the rounding of a printed table."""
    in_range = bool((scores >= 0).all() and (scores <= 1).all())
    return in_range and bool((np.abs(scores.sum(axis=1) - 1) <= _SUM_TOLERANCE).all())


def log_losses(scores: Floats, truth: Ints) -> Floats:
    """Minus the natural logarithm of each image's score of its true class, kept off 0 and 1 as scikit-learn does."""
    eps = np.finfo(np.float64).eps
    return -np.log(np.clip(scores[np.arange(len(truth)), truth], eps, 1 - eps))


def brier_losses(scores: Floats, truth: Ints) -> Floats:
    """Squared distance of each image's scores from its label; halved for two classes, as scikit-learn does."""
    wanted = np.zeros_like(scores)
    wanted[np.arange(len(truth)), truth] = 1.0
    squares = ((scores - wanted) ** 2).sum(axis=1)
    scale = 0.5 if scores.shape[1] == 2 else 1.0
    return np.asarray(squares * scale, dtype=np.float64)


def calibration_bins(confidence: Floats) -> Ints:
    """Bin of each confidence: `CALIBRATION_BINS` of equal width, each without its lower edge but the first."""
    return np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)


def calibration_error(confidence: Floats, is_right: NDArray[np.bool_]) -> float:
    """Mean gap between confidence and share of right answers over bins, weighted by their images."""
    bins = calibration_bins(confidence)
    gaps = np.bincount(bins, weights=is_right.astype(np.float64) - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))
