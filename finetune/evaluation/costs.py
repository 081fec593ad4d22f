"""What answers cost: the plain ones, and those that a cost matrix and the scores make cheapest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.counts import divide
from finetune.evaluation.evaluating import jackknifed, proportion
from finetune.evaluation.prevalence import weighted_by_shares
from finetune.evaluation.probabilities import NO_SCORES
from finetune.evaluation.result import Metric, undefined
from finetune.evaluation.split import Split

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Costs:
    """Mean cost an image of two ways to answer, and what the cheaper way answers.

    `cheapest` is None, with a reason, where the predictions hold no probabilities. `confusion_matrix` is that of the
    cheapest answers, as in `Evaluation`.
    """

    matrix: Floats
    """(true class, answer)"""
    plain: Metric
    cheapest: Metric | None
    changed: int
    """Images that get another answer."""
    confusion_matrix: Ints | None
    reason: str | None = None


def cost_matrix(cost: Mapping[str, Mapping[str, float]], labels: Sequence[str]) -> Floats:
    """Costs by true class (row) and answer (column): 0 on the diagonal and 1 off it unless named."""
    matrix = 1.0 - np.eye(len(labels))
    for row, label in enumerate(labels):
        for column, answer in enumerate(labels):
            matrix[row, column] = cost.get(label, {}).get(answer, matrix[row, column])
    return matrix


def cheapest_answers(scores: Floats, matrix: Floats) -> Ints:
    """The answer of least expected cost for each row of probabilities (images, classes); the first of equals."""
    return np.asarray((scores @ matrix).argmin(axis=1), dtype=np.int64)


def evaluate_costs(
    part: Split, scores: Floats | None, matrix: Floats, shares: Floats | None, reason: str | None
) -> Costs:
    """The cost of the plain answers and of those that `scores` make cheapest; `reason` says why these cannot be had.

    With the stated class `shares`, images of a class weigh as much as its share says.
    """
    plain = _mean_cost(part, part.outcomes.predicted, matrix, shares)
    if scores is None or reason is not None:
        return Costs(matrix, plain, None, 0, None, reason or NO_SCORES)
    answers = cheapest_answers(scores, matrix)
    classes = part.outcomes.classes
    confusion = np.bincount(part.outcomes.truth * classes + answers, minlength=classes**2).reshape(classes, classes)
    changed = int((answers != part.outcomes.predicted).sum())
    return Costs(matrix, plain, _mean_cost(part, answers, matrix, shares), changed, confusion)


def _mean_cost(part: Split, answers: Ints, matrix: Floats, shares: Floats | None) -> Metric:
    """Mean cost an image: that of each class, weighted by the stated shares, or by those of the images.

    The cost of a class is laid over 0 (its cheapest answer) to 1 (its dearest). Where only these two occur, as with two
    classes, it has the interval of a recall, else a Clopper-Pearson interval at the size that its jackknife variance
    over groups amounts to; the sum has MOVER's. A bootstrap-t is of no use here: most answers cost nothing, and a
    resample without a wrong one has no t.
    """
    truth, group = part.outcomes.truth, part.outcomes.group
    weights = np.bincount(truth, minlength=part.outcomes.classes) / len(truth) if shares is None else shares
    least, reach = matrix.min(axis=1), np.ptp(matrix, axis=1)
    start, most = float((weights * least).sum()), float((weights * reach).sum())
    if most <= 0:
        return undefined("no answer is stated to cost more than another")
    by_class, without = list[Metric](), np.zeros((part.outcomes.groups, len(weights)))
    for k in range(len(weights)):
        is_class = truth == k
        spent = (matrix[k, answers[is_class]] - least[k]) / (reach[k] or 1.0)
        metric, left = _mean_spent(part.take(is_class), spent)
        by_class.append(metric)
        without[:, k] = metric.value or 0.0
        without[np.unique(group[is_class]), k] = left
    weights = weights * reach / most
    sums = np.where(weights > 0, without * weights, 0.0).sum(axis=1)
    metric = weighted_by_shares(part, by_class, weights, sums)
    if metric.value is None or metric.low is None or metric.high is None:
        return metric
    value, low, high = (start + most * number for number in (metric.value, metric.low, metric.high))
    return Metric(value, low, high, metric.method, metric.n_eff)


def _mean_spent(part: Split, spent: Floats) -> tuple[Metric, Floats]:
    """Mean over the images of one class of costs between 0 and 1, and the mean without each group."""
    if not len(spent):
        return undefined("no image is of this class"), np.full(0, np.nan)
    group, groups = part.outcomes.group, part.outcomes.groups
    images = np.bincount(group, minlength=groups).astype(np.float64)
    costs = np.bincount(group, weights=spent, minlength=groups)
    without = divide(costs.sum() - costs, images.sum() - images)
    if bool(np.isin(spent, (0.0, 1.0)).all()):
        return proportion(part, spent == 1, np.ones_like(spent, dtype=np.bool_), ""), without
    independent = float(images.sum() ** 2 / (images**2).sum())
    return jackknifed(part, float(costs.sum() / images.sum()), without, independent, ""), without
