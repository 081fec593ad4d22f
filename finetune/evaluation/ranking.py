"""Areas under the ROC and precision-recall curves, whole and with each group left out, from ranks."""

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.counts import divide

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_CELLS_AT_ONCE = 2_000_000


def roc_auc(positive: Bools, scores: Floats, group: Ints, groups: int) -> tuple[float, Floats]:
    """ROC area (ties count half) of one class against the rest, and the area without each group.

    NaN where one of the two sides is empty. Sorting costs O(n log n), whatever the number of groups.
    """
    one_table = np.zeros_like(group)
    rank = _midranks(scores, one_table)
    wins = np.empty_like(scores)  # of a positive: negatives it beats; of a negative: positives that beat it
    wins[positive] = rank[positive] - _midranks(scores[positive], one_table[positive])
    wins[~positive] = positive.sum() - (rank[~positive] - _midranks(scores[~positive], one_table[~positive]))
    total = wins[positive].sum()
    positives = np.bincount(group[positive], minlength=groups).astype(np.float64)
    negatives = np.bincount(group[~positive], minlength=groups).astype(np.float64)
    inside_rank = np.bincount(group[positive], weights=_midranks(scores, group)[positive], minlength=groups)
    inside = inside_rank - positives * (positives + 1) / 2
    left = total - np.bincount(group, weights=wins, minlength=groups) + inside
    pairs = (positives.sum() - positives) * (negatives.sum() - negatives)
    whole = divide(np.array(total), np.array(positives.sum() * negatives.sum()))
    return float(whole), divide(left, pairs)


def average_precision(positive: Bools, scores: Floats, group: Ints, groups: int) -> tuple[float, Floats]:
    """Average precision (steps at distinct scores) of one class, and its value without each group.

    It is the mean, over positives, of the precision among images scored at least as high.
    NaN where no positive is left.
    """
    hit_scores = np.sort(scores[positive])
    hits = len(hit_scores)
    if hits == 0:
        return float("nan"), np.full(groups, np.nan)
    above_all = len(scores) - np.searchsorted(np.sort(scores), hit_scores, side="left")
    above_hits = hits - np.searchsorted(hit_scores, hit_scores, side="left")
    whole = float((above_hits / above_all).mean())
    reach = np.searchsorted(hit_scores, scores, side="right")  # positives scored at most as high as each image
    own = np.bincount(group[positive], minlength=groups).astype(np.float64)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(groups + 1))
    without = np.empty(groups)
    step = max(1, _CELLS_AT_ONCE // (hits + 1))
    for first in range(0, groups, step):
        last = min(first + step, groups)
        chosen = order[starts[first] : starts[last]]
        lost_all, lost_hits = (
            _lost_above(reach[members], group[members] - first, last - first, hits)
            for members in (chosen, chosen[positive[chosen]])
        )
        present = _lost_at(reach, chosen[positive[chosen]], group, first, last, hits)
        precision = divide(above_hits - lost_hits, above_all - lost_all)
        without[first:last] = divide(
            np.where(np.isfinite(precision), precision * (1 - present), 0.0).sum(axis=1),
            hits - own[first:last],
        )
    return whole, without


def _lost_above(reach: Ints, row: Ints, rows: int, hits: int) -> Floats:
    """(rows, hits): how many images of each left-out group score at least as high as each positive."""
    cells = np.bincount(row * (hits + 1) + reach, minlength=rows * (hits + 1)).reshape(rows, hits + 1)
    return cells[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:].astype(np.float64)


def _lost_at(reach: Ints, members: Ints, group: Ints, first: int, last: int, hits: int) -> Floats:
    """(rows, hits): 1 at as many positives of each tied score as the left-out group holds of them."""
    share = np.zeros((last - first, hits + 1))
    np.add.at(share, (group[members] - first, reach[members] - 1), 1.0)
    return share[:, :hits]


def _midranks(scores: Floats, table: Ints) -> Floats:
    """Rank of each score within its table, from 1; tied scores share the mean of their ranks."""
    order = np.lexsort((scores, table))
    sorted_scores, sorted_table = scores[order], table[order]
    new_table = np.r_[True, sorted_table[1:] != sorted_table[:-1]][: len(order)]
    new_run = (np.r_[True, sorted_scores[1:] != sorted_scores[:-1]][: len(order)]) | new_table
    position = np.arange(len(order), dtype=np.float64)
    run = np.cumsum(new_run) - 1
    start = position[new_run]
    end = np.r_[start[1:], float(len(order))]
    table_start = np.maximum.accumulate(np.where(new_table, position, 0.0))
    ranks = np.empty(len(order))
    ranks[order] = ((start + end + 1) / 2)[run] - table_start
    return ranks
