"""Measures of the scores as probabilities: log loss, Brier score, calibration error."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CALIBRATION_BINS = 10
WORST_LOG_LOSS = -math.log(np.finfo(np.float64).eps)
"""Of one image: its score is kept off 0."""
NO_SCORES = "the predictions hold no scores"
NO_PROBABILITIES = "the scores are no probabilities"
_SUM_TOLERANCE = 0.01


def are_probabilities(scores: Floats) -> bool:
    """Whether every row lies in [0, 1] and sums to 1, within the rounding of a printed table."""
    in_range = bool((scores >= 0).all() and (scores <= 1).all())
    return in_range and bool((np.abs(scores.sum(axis=1) - 1) <= _SUM_TOLERANCE).all())


def why_no_probabilities(scores: Floats | None) -> str | None:
    """Why scores cannot be taken for probabilities; None where they can."""
    if scores is None:
        return NO_SCORES
    return None if are_probabilities(scores) else NO_PROBABILITIES


def log_losses(scores: Floats, truth: Ints) -> Floats:
    """Minus the natural logarithm of each image's score of its true class, kept off 0 and 1 as scikit-learn does."""
    eps = np.finfo(np.float64).eps
    return -np.log(np.clip(scores[np.arange(len(truth)), truth], eps, 1 - eps))


def brier_losses(scores: Floats, truth: Ints) -> Floats:
    """Squared distance of each image's scores from its label, 0 to 2 (Brier, 1950).

    Halved for two classes, as scikit-learn does, where it is the squared distance of one score from 0 or 1: 0 to 1.
    """
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


def expected_calibration_error(confidence: Floats) -> float:
    """The calibration error to expect of a model whose confidences are true, of as many images in the same bins.

    Exact: in each bin the count of right answers is a sum of independent yes and no, each at its own confidence, and
    its distribution is what their product of polynomials says. That such an error is not 0 is shown by Broecker and
    Smith (2007), who draw the outcomes at random in place of this sum.
    """
    confidence = np.clip(confidence, 0.0, 1.0)
    bins = calibration_bins(confidence)
    inside = (confidence[bins == number] for number in range(CALIBRATION_BINS))
    return sum(_mean_distance(chances) for chances in inside if len(chances)) / len(confidence)


def _mean_distance(chances: Floats) -> float:
    """Mean distance of the number of successes from its own mean, of independent trials with these chances."""
    counts = count_distribution(chances)
    return float(counts @ np.abs(np.arange(len(counts)) - chances.sum()))


def count_distribution(chances: Floats) -> Floats:
    """Probability of 0, 1, 2, ... successes of independent trials with these chances (Poisson-binomial)."""
    most = 1 << (len(chances) - 1).bit_length()
    padded = np.concatenate([chances, np.zeros(most - len(chances))])  # a chance of 0 changes no count
    parts = np.stack([1 - padded, padded], axis=1)  # (parts, counts)
    while len(parts) > 1:
        parts = np.clip(_convolve(parts[0::2], parts[1::2]), 0.0, None)
    return np.asarray(parts[0][: len(chances) + 1], dtype=np.float64)


def _convolve(one: Floats, other: Floats) -> Floats:
    """Row by row, through Fourier transforms; scipy.signal, which has it, takes long to import."""
    length = one.shape[1] + other.shape[1] - 1
    return np.asarray(np.fft.irfft(np.fft.rfft(one, length) * np.fft.rfft(other, length), length), dtype=np.float64)
