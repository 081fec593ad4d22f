"""The overall measures of a split, whole and with each group left out: what a jackknife rests on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation import counts as counting
from finetune.evaluation import probabilities, ranking
from finetune.evaluation.counts import divide
from finetune.evaluation.grades import quadratic_kappa
from finetune.evaluation.probabilities import NO_SCORES
from finetune.evaluation.split import Split

Floats = NDArray[np.float64]
_NO_INTERVAL = "no honest interval exists for a calibration error"


@dataclass(frozen=True)
class Replicates:
    """A measure and its values without each group, (groups,); NaN where it does not exist, `reason` says why."""

    value: float
    without: Floats
    reason: str | None = None


def overall_replicates(part: Split, order: Sequence[str] | None = None) -> dict[str, Replicates]:
    """Every overall measure by its name in `Evaluation.overall`, in that order."""
    replicates = answer_replicates(part) | {"roc_auc": _roc_auc(part), **_losses(part)}
    return replicates if order is None else replicates | {"quadratic_kappa": kappa_replicates(part, order)}


def answer_replicates(part: Split) -> dict[str, Replicates]:
    """The overall measures that follow from answers alone."""
    whole, left = counting.count(part.outcomes), counting.count_without_each_group(part.outcomes)
    over = counting.mean_over_classes
    found = {
        "accuracy": (divide(whole.hits.sum(), whole.images.sum()), divide(left.hits.sum(1), left.images.sum(1))),
        "balanced_accuracy": (over(counting.recall(whole)), over(counting.recall(left))),
        "macro_f1": (over(counting.f1(whole)), over(counting.f1(left))),
        "mcc": (counting.matthews(whole), counting.matthews(left)),
    }
    return {name: Replicates(float(value), without) for name, (value, without) in found.items()}


def kappa_replicates(part: Split, order: Sequence[str]) -> Replicates:
    """The quadratic-weighted kappa of classes that are grades in this order."""
    places = np.array([order.index(label) for label in part.labels], dtype=np.int64)
    return Replicates(*quadratic_kappa(part.outcomes, places))


def _roc_auc(part: Split) -> Replicates:
    outcomes = part.outcomes
    if part.scores is None:
        return _missing(part, NO_SCORES)
    both = [k for k in range(outcomes.classes) if 0 < int((outcomes.truth == k).sum()) < len(outcomes.truth)]
    areas = [ranking.roc_auc(outcomes.truth == k, part.scores[:, k], outcomes.group, outcomes.groups) for k in both]
    if not areas:
        return _missing(part, "no class has images on both sides")
    value = float(np.mean([area for area, _ in areas]))
    return Replicates(value, counting.mean_over_classes(np.stack([without for _, without in areas], axis=1)))


def _losses(part: Split) -> dict[str, Replicates]:
    scores, outcomes = part.scores, part.outcomes
    names = ("log_loss", "brier", "calibration_error")
    reason = probabilities.why_no_probabilities(scores)
    if scores is None or reason is not None:
        return {name: _missing(part, reason or "") for name in names}
    error = probabilities.calibration_error(scores.max(axis=1), outcomes.predicted == outcomes.truth)
    return {
        "log_loss": _mean_loss(part, probabilities.log_losses(scores, outcomes.truth)),
        "brier": _mean_loss(part, probabilities.brier_losses(scores, outcomes.truth)),
        "calibration_error": Replicates(error, np.full(outcomes.groups, np.nan), _NO_INTERVAL),
    }


def _mean_loss(part: Split, losses: Floats) -> Replicates:
    outcomes = part.outcomes
    totals = np.bincount(outcomes.group, weights=losses, minlength=outcomes.groups)
    sizes = np.bincount(outcomes.group, minlength=outcomes.groups).astype(np.float64)
    return Replicates(float(losses.mean()), divide(totals.sum() - totals, sizes.sum() - sizes))


def _missing(part: Split, reason: str) -> Replicates:
    return Replicates(float("nan"), np.full(part.outcomes.groups, np.nan), reason)
