"""What answers mean where the classes have other shares than among the images: scores and numbers re-weighted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation import mover
from finetune.evaluation.counts import divide
from finetune.evaluation.evaluating import even_size, jackknifed, proportion
from finetune.evaluation.probabilities import NO_SCORES
from finetune.evaluation.result import Metric, undefined
from finetune.evaluation.split import Split

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_METHOD = "mover"
_MIXED_METHOD = "mover and jackknife"


@dataclass(frozen=True)
class TrainedFor:
    """The class shares that a model was trained for, in the order of the labels, and how that is known."""

    shares: Floats
    source: str


@dataclass(frozen=True)
class AnswersAtPrevalence:
    """How answers would do at the stated shares: right answers among all, and by class recall, PPV and NPV."""

    accuracy: Metric
    per_class: Mapping[str, Mapping[str, Metric]]


@dataclass(frozen=True)
class Prevalence:
    """The plain answers at the stated shares, and those of scores that were re-weighted to them.

    `reweighted` is None, with a reason, where scores are missing or what the model was trained for is not known.
    """

    stated: Floats
    trained_for: TrainedFor | None
    plain: AnswersAtPrevalence
    reweighted: AnswersAtPrevalence | None
    changed: int
    """Images whose answer the re-weighting changes."""
    reason: str | None = None


def reweight(scores: Floats, trained: Floats, stated: Floats) -> Floats:
    """Scores (images, classes) of a model trained for the shares `trained`, as they would be at the shares `stated`.

    Saerens, Latinne and Decaestecker (2002), equation 2.4, with both priors known.
    """
    raised = scores * np.where(stated > 0, divide(stated, trained), 0.0)
    total = raised.sum(axis=1, keepdims=True)
    return np.where(total > 0, raised / np.where(total > 0, total, 1.0), stated)


def evaluate_prevalence(
    part: Split, calibrated: Split, stated: Floats, trained: TrainedFor | None, reason: str | None
) -> Prevalence:
    """Answers at the stated shares; `calibrated` is the part with the scores to re-weight, `reason` why it cannot be.

    A class that is stated to occur must have been trained for.
    """
    plain = _answers_at(part, part.outcomes.predicted, stated)
    if trained is not None and reason is None and bool((stated[trained.shares <= 0] > 0).any()):
        reason = "the shares trained for leave out a class that shall occur"
    if calibrated.scores is None or trained is None or reason is not None:
        return Prevalence(stated, trained, plain, None, 0, reason or NO_SCORES)
    answers = reweight(calibrated.scores, trained.shares, stated).argmax(axis=1).astype(np.int64)
    changed = int((answers != part.outcomes.predicted).sum())
    return Prevalence(stated, trained, plain, _answers_at(part, answers, stated), changed)


def _answers_at(part: Split, answers: Ints, shares: Floats) -> AnswersAtPrevalence:
    truth, per_class = part.outcomes.truth, {}
    for k, label in enumerate(part.labels):
        recall = proportion(part, answers == k, truth == k, "no image is of this class")
        per_class[label] = {"recall": recall, **predictive_values(part, answers == k, k, shares)}
    rates = _rates_without_each_group(part, answers == truth, shares)
    recalls = [metrics["recall"] for metrics in per_class.values()]
    return AnswersAtPrevalence(weighted_by_shares(part, recalls, shares, (rates * shares).sum(axis=1)), per_class)


def predictive_values(part: Split, called: Bools, k: int, shares: Floats) -> dict[str, Metric]:
    """PPV and NPV of the calls of class `k` at the stated class shares, by Bayes from the rates of calls by class.

    Images of the other classes count by their stated shares. The interval comes from those of the rates (MOVER for
    their sum, Zou and Donner, 2008, and for their ratio, Donner and Zou, 2012); where one group has images of several
    classes, so that the rates are not independent, it also holds that of the jackknife.
    """
    if not 0 < shares[k] < 1:
        reason = "no image is stated to be of this class" if shares[k] <= 0 else "every image is stated to be of it"
        return {"ppv": undefined(reason), "npv": undefined(reason)}
    others = np.where(np.arange(len(shares)) == k, 0.0, shares) / (1 - shares[k])
    truth = part.outcomes.truth
    rates = [proportion(part, called, truth == j, "") for j in range(len(shares))]
    if any(rates[j].value is None for j in range(len(shares)) if shares[j] > 0):
        reason = "no image to judge a class by that is stated to occur"
        return {"ppv": undefined(reason), "npv": undefined(reason)}
    known = [_triple(rate) for rate in rates]
    wrong, cleared = _summed(known, others), _summed([_flipped(rate) for rate in known], others)
    without = _rates_without_each_group(part, called, shares)
    odds = float(shares[k] / (1 - shares[k]))
    found, kept = without[:, k], (without * others).sum(axis=1)
    return {
        "ppv": _predictive(part, k, (known[k], wrong), odds, (found, kept)),
        "npv": _predictive(part, k, (cleared, _flipped(known[k])), 1 / odds, (1 - kept, 1 - found)),
    }


def _predictive(
    part: Split,
    k: int,
    rates: tuple[tuple[float, float, float], tuple[float, float, float]],
    odds: float,
    without: tuple[Floats, Floats],
) -> Metric:
    """odds a / (odds a + b) of the rates a of right and b of wrong calls; `without` holds both without each group."""
    right, wrong = rates
    if odds * right[0] + wrong[0] <= 0:
        return undefined("no image gets this answer")
    value = odds * right[0] / (odds * right[0] + wrong[0])
    ends = (odds * bound for bound in mover.ratio(right, wrong))
    low, high = (1.0 if np.isinf(end) else end / (1 + end) for end in ends)
    shares = divide(odds * without[0], odds * without[0] + without[1])
    smaller = float(min(part.groups_per_class[k], part.groups_of_rest[k]))
    return _with_mixed_groups(part, (value, low, high), shares, smaller)


def weighted_by_shares(part: Split, rates: Sequence[Metric], shares: Floats, without: Floats) -> Metric:
    """The sum of the rates of the classes, weighted by the stated shares; `without` holds it without each group."""
    if any(rate.value is None for rate, share in zip(rates, shares, strict=True) if share > 0):
        return undefined("no image to judge a class by that is stated to occur")
    present = part.groups_per_class[part.groups_per_class > 0]
    return _with_mixed_groups(part, _summed([_triple(rate) for rate in rates], shares), without, even_size(present))


def _with_mixed_groups(part: Split, bounds: tuple[float, float, float], without: Floats, size: float) -> Metric:
    value, low, high = bounds
    if part.is_pure:
        return Metric(value, min(low, value), max(high, value), _METHOD, size)
    other = jackknifed(part, value, without, size, "")
    lowest, highest = min(low, value, other.low or 0.0), max(high, value, other.high or 0.0)
    return Metric(value, lowest, highest, _MIXED_METHOD, min(size, other.n_eff or size))


def _rates_without_each_group(part: Split, hits: Bools, shares: Floats) -> Floats:
    """The share of hits among the images of each class with one group left out: (groups, classes).

    0 for a class that is not stated to occur, NaN for one that has no image left.
    """
    outcomes = part.outcomes
    cell, shape = outcomes.group * outcomes.classes + outcomes.truth, (outcomes.groups, outcomes.classes)
    images = np.bincount(cell, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
    hit = np.bincount(cell[hits], minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
    rates = divide(hit.sum(axis=0) - hit, images.sum(axis=0) - images)
    return np.where(shares > 0, rates, 0.0)


def _within(share: float) -> float:
    """A share without the rounding that its sum over classes may leave outside 0 to 1."""
    return min(max(share, 0.0), 1.0)


def _summed(rates: Sequence[tuple[float, float, float]], weights: Floats) -> tuple[float, float, float]:
    """The weighted sum of rates with its interval; weights add up to 1."""
    values, lows, highs = (np.array(column) for column in zip(*rates, strict=True))
    low, high = mover.weighted_sum(values, lows, highs, weights)
    return _within(float((weights * values).sum())), _within(low), _within(high)


def _triple(metric: Metric) -> tuple[float, float, float]:
    if metric.value is None or metric.low is None or metric.high is None:
        return 0.0, 0.0, 0.0
    return metric.value, metric.low, metric.high


def _flipped(bounds: tuple[float, float, float]) -> tuple[float, float, float]:
    return 1 - bounds[0], 1 - bounds[2], 1 - bounds[1]
