"""Turns a predictions table into an Evaluation: every number with its interval."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.evaluation import counts as counting
from finetune.evaluation import ranking
from finetune.evaluation.cautions import find_cautions
from finetune.evaluation.counts import Counts
from finetune.evaluation.intervals import (
    clopper_pearson,
    effective_size,
    jackknife_variance,
    mean_of_shares,
    share_interval,
)
from finetune.evaluation.losses import evaluate_probabilities
from finetune.evaluation.probabilities import NO_SCORES
from finetune.evaluation.replicates import answer_replicates, kappa_replicates
from finetune.evaluation.result import Evaluation, Metric, undefined
from finetune.evaluation.split import Split, read_split

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_GROUPED = "clopper-pearson over groups"


def evaluate_predictions(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    split: str = "test",
    confidence: float = 0.95,
    order: Sequence[str] | None = None,
) -> Evaluation:
    """Evaluate the rows of one split; an image without a group is its own.

    With `order`, the classes from the least grade to the most, the overall numbers hold a quadratic-weighted kappa.
    Raises InputError where the split is empty or a row names a class outside `labels`.
    """
    return evaluate_split(read_split(predictions, tuple(labels), split, confidence), split, order)


def evaluate_split(part: Split, split: str = "test", order: Sequence[str] | None = None) -> Evaluation:
    """Evaluate one split that is at hand as arrays; `split` is its name."""
    counts = counting.count(part.outcomes)
    per_class, areas = _evaluate_classes(part, counts)
    recalls = [metrics["recall"] for metrics in per_class.values()]
    overall = _evaluate_overall(part, counts, areas, recalls)
    if order is not None:
        overall["quadratic_kappa"] = _evaluate_grades(part, order)
    return Evaluation(
        task="multiclass",
        split=split,
        images=part.images,
        groups=part.outcomes.groups,
        labels=part.labels,
        per_class=per_class,
        overall=overall,
        confusion_matrix=counting.confusion(part.outcomes),
        warnings=find_cautions(part.labels, counts.shared(part.repeats), part.groups_per_class, part.outcomes.groups),
        repeats=part.repeats,
    )


def _evaluate_classes(part: Split, counts: Counts) -> tuple[dict[str, dict[str, Metric]], tuple[Floats, Floats]]:
    """Metrics of every class, and the ROC areas: (classes,) and (groups, classes)."""
    outcomes = part.outcomes
    is_right = outcomes.truth == outcomes.predicted
    per_class: dict[str, dict[str, Metric]] = {}
    areas = np.full(outcomes.classes, np.nan)
    areas_without = np.full((outcomes.groups, outcomes.classes), np.nan)
    for k, label in enumerate(part.labels):
        is_class, is_called = outcomes.truth == k, outcomes.predicted == k
        metrics = {
            "precision": proportion(part, is_right, is_called, "no image was called this class"),
            "recall": proportion(part, is_right, is_class, "no image is of this class"),
            "f1": _f1(part, counts, k),
            "specificity": proportion(part, ~is_called, ~is_class, "every image is of this class"),
            "npv": proportion(part, ~is_class, ~is_called, "every image was called this class"),
        }
        metrics["roc_auc"], areas[k], areas_without[:, k] = _roc_auc(part, k)
        metrics["average_precision"] = _average_precision(part, k)
        per_class[label] = metrics
    return per_class, (areas, areas_without)


def _evaluate_overall(
    part: Split, counts: Counts, areas: tuple[Floats, Floats], recalls: Sequence[Metric]
) -> dict[str, Metric]:
    groups, over, found = part.groups_per_class, counting.mean_over_classes, answer_replicates(part)
    even = even_size(groups[groups > 0])
    has_f1 = np.isfinite(counting.f1(counts))
    f1_size = even_size(np.maximum(groups[has_f1], 1))
    sides = np.minimum(groups, part.groups_of_rest)[np.isfinite(areas[0])]
    area_size = float(np.min(sides)) if 0 < len(sides) <= 2 else even_size(np.maximum(sides, 1))
    constant = "only one class occurs among the labels or among the predictions"
    one_class = NO_SCORES if part.scores is None else "no class has images on both sides"
    f1, mcc = found["macro_f1"], found["mcc"]
    is_right = part.outcomes.truth == part.outcomes.predicted
    metrics = {
        "accuracy": proportion(part, is_right, np.ones_like(is_right), "no images"),
        "balanced_accuracy": _balanced_accuracy(part, recalls, found["balanced_accuracy"].without, even),
        "macro_f1": jackknifed(part, f1.value, f1.without, f1_size, "no images"),
        "mcc": stretch(jackknifed(part, (mcc.value + 1) / 2, (mcc.without + 1) / 2, even, constant)),
        "roc_auc": jackknifed(part, float(over(areas[0])), over(areas[1]), area_size, one_class),
    }
    exists = {"balanced_accuracy": groups > 0, "macro_f1": has_f1, "roc_auc": np.isfinite(areas[0])}
    averages = {name: _over_classes(part, metrics[name], kept) for name, kept in exists.items()}
    return metrics | averages | evaluate_probabilities(part)


def _over_classes(part: Split, average: Metric, exists: Bools) -> Metric:
    """The average, with the names of the classes that it is over where they are not all."""
    if average.value is None or exists.all():
        return average
    return replace(average, classes=tuple(part.labels[k] for k in np.flatnonzero(exists)))


def _evaluate_grades(part: Split, order: Sequence[str]) -> Metric:
    kappa = kappa_replicates(part, order)
    size = even_size(part.groups_per_class[part.groups_per_class > 0])
    reason = "truth and answers are all one grade"
    return stretch(jackknifed(part, (kappa.value + 1) / 2, (kappa.without + 1) / 2, size, reason))


def proportion(part: Split, hits: Bools, members: Bools, reason: str) -> Metric:
    """The share of hits among members, both (images,)."""
    if not members.any():
        return undefined(reason)
    group, groups = part.outcomes.group, part.outcomes.groups
    sizes = np.bincount(group[members], minlength=groups).astype(np.float64)
    hit = np.bincount(group[members & hits], minlength=groups).astype(np.float64)
    share = float(hit.sum() / sizes.sum())
    low, high, size = share_interval(hit / part.repeats, sizes / part.repeats, part.confidence)
    method = _GROUPED if size < members.sum() / part.repeats else "clopper-pearson"
    return Metric(share, min(low, share), max(high, share), method, size)


def _f1(part: Split, counts: Counts, k: int) -> Metric:
    """F1 through J = TP / (TP + FP + FN), of which it is 2J / (1 + J)."""
    is_class, is_called = part.outcomes.truth == k, part.outcomes.predicted == k
    reason = "no image is of this class and none was called so"
    jaccard = proportion(part, is_class & is_called, is_class | is_called, reason)
    if jaccard.low is None or jaccard.high is None:
        return jaccard
    value = float(2 * counts.hits[k] / (counts.images[k] + counts.calls[k]))
    low, high = (2 * bound / (1 + bound) for bound in (jaccard.low, jaccard.high))
    return Metric(value, min(low, value), max(high, value), jaccard.method, jaccard.n_eff)


def _balanced_accuracy(part: Split, recalls: Sequence[Metric], without: Floats, even: float) -> Metric:
    """The mean of the recalls: from their intervals; where a group holds several classes, so that these are not
    independent, what that and the jackknife cover together."""
    known = [(one.value, one.low, one.high, one.n_eff) for one in recalls if one.value is not None]
    if not known:
        return undefined("no images")
    shares, lows, highs, sizes = (np.array(column, dtype=np.float64) for column in zip(*known, strict=True))
    value, (low, high) = float(shares.mean()), mean_of_shares(shares, lows, highs)
    size = even_size(sizes)
    if part.is_pure:
        return Metric(value, min(low, value), max(high, value), "mover", size)
    other = jackknifed(part, value, without, even, "")
    lowest, highest = (min(low, other.low or 0.0), max(high, other.high or 0.0))
    return Metric(value, lowest, highest, "mover and jackknife", min(size, other.n_eff or size))


def _roc_auc(part: Split, k: int) -> tuple[Metric, float, Floats]:
    outcomes = part.outcomes
    positive = outcomes.truth == k
    if part.scores is None or positive.all() or not positive.any():
        reason = NO_SCORES if part.scores is None else "every image is of this class" if positive.all() else ""
        nothing = np.full(outcomes.groups, np.nan)
        return undefined(reason or "no image is of this class"), float("nan"), nothing
    area, without = ranking.roc_auc(positive, part.scores[:, k], outcomes.group, outcomes.groups)
    smaller = float(min(part.groups_per_class[k], part.groups_of_rest[k]))
    return jackknifed(part, area, without, smaller, ""), area, without


def _average_precision(part: Split, k: int) -> Metric:
    outcomes = part.outcomes
    if part.scores is None:
        return undefined(NO_SCORES)
    positive = outcomes.truth == k
    value, without = ranking.average_precision(positive, part.scores[:, k], outcomes.group, outcomes.groups)
    return jackknifed(part, value, without, part.groups_per_class[k], "no image is of this class")


def jackknifed(part: Split, share: float, without: Floats, fallback: float, reason: str) -> Metric:
    """A measure between 0 and 1: Clopper-Pearson at the size that its jackknife variance amounts to.

    Where the measure does not exist without some group, `fallback` also bounds the size.
    """
    if not np.isfinite(share):
        return undefined(reason)
    share = min(max(share, 0.0), 1.0)
    images = float(part.images)
    most = images if np.isfinite(without).all() else min(images, fallback)
    variance = float(jackknife_variance(without))
    size = effective_size(share, variance, images, part.outcomes.groups, fallback, part.confidence)
    size = min(size, most) if part.outcomes.groups > 1 else size
    low, high = clopper_pearson(share * size, size, part.confidence)
    return Metric(share, min(low, share), max(high, share), "jackknife", size)


def stretch(metric: Metric) -> Metric:
    """A metric of 0 to 1 laid over -1 to 1."""
    if metric.value is None or metric.low is None or metric.high is None:
        return metric
    value, low, high = (2 * number - 1 for number in (metric.value, metric.low, metric.high))
    return Metric(value, low, high, metric.method, metric.n_eff)


def even_size(groups: Floats) -> float:
    """Effective size of a plain mean over classes: 1 / sum(1 / (K^2 n_k))."""
    return float(len(groups) ** 2 / (1 / groups).sum()) if len(groups) else 1.0
