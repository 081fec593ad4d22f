"""Log loss, Brier score and calibration error of a split, with what can be said of their certainty."""

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation import probabilities
from finetune.evaluation.intervals import log_bootstrap_interval
from finetune.evaluation.probabilities import NO_PROBABILITIES, NO_SCORES
from finetune.evaluation.result import Metric, undefined
from finetune.evaluation.split import Split

Floats = NDArray[np.float64]
_NO_PROBABILITIES = f"{NO_PROBABILITIES}: they do not lie in 0 to 1 or do not sum to 1"
_LOSS_METHOD = "bootstrap-t over groups"
_FEWEST_GROUPS = 10


def evaluate_probabilities(part: Split) -> dict[str, Metric]:
    """Log loss, Brier score and calibration error; undefined where there are no scores or they are no probabilities."""
    scores, outcomes = part.scores, part.outcomes
    if scores is None or not probabilities.are_probabilities(scores):
        reason = NO_SCORES if scores is None else _NO_PROBABILITIES
        return {name: undefined(reason) for name in ("log_loss", "brier", "calibration_error")}
    is_right = outcomes.predicted == outcomes.truth
    confidence = scores.max(axis=1)
    error = probabilities.calibration_error(confidence, is_right)
    by_chance = probabilities.expected_calibration_error(confidence)
    method = f"{probabilities.CALIBRATION_BINS} bins of equal width"
    no_interval = "no honest interval exists for a calibration error"
    size = float(part.images)
    worst_brier = 1.0 if scores.shape[1] == 2 else 2.0
    return {
        "log_loss": _mean_loss(part, probabilities.log_losses(scores, outcomes.truth), probabilities.WORST_LOG_LOSS),
        "brier": _mean_loss(part, probabilities.brier_losses(scores, outcomes.truth), worst_brier),
        "calibration_error": Metric(error, None, None, method, size, no_interval, expected_if_calibrated=by_chance),
    }


def _mean_loss(part: Split, losses: Floats, most: float) -> Metric:
    outcomes = part.outcomes
    value = max(0.0, float(losses.mean()))
    if outcomes.groups < _FEWEST_GROUPS:
        reason = f"an interval of a mean loss needs {_FEWEST_GROUPS} groups, and here are {outcomes.groups}"
        return Metric(value, None, None, _LOSS_METHOD, None, reason)
    totals = np.bincount(outcomes.group, weights=losses, minlength=outcomes.groups).astype(np.float64)
    sizes = np.bincount(outcomes.group, minlength=outcomes.groups).astype(np.float64)
    bounds = log_bootstrap_interval(totals, sizes, part.confidence)
    if bounds is None:
        return Metric(value, None, None, _LOSS_METHOD, None, "the groups are too much alike for an interval")
    low, high = min(bounds[0], value), min(max(bounds[1], value), most)
    return Metric(value, low, high, _LOSS_METHOD, float(outcomes.groups))
