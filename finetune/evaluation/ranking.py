"""Areas under the ROC and precision-recall curves, whole and with each group left out, from ranks."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.counts import divide

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def roc_auc(positive: Bools, scores: Floats, group: Ints, groups: int) -> tuple[float, Floats]:
    """ROC area (ties count half) of one class against the rest, and the area without each group.

    NaN where one of the two sides is empty. Sorting costs O(n log n), whatever the number of groups.
    """
    wins = np.empty_like(scores)  # of a positive: negatives it beats; of a negative: positives that beat it
    wins[positive] = _beaten(scores[positive], scores[~positive])
    wins[~positive] = positive.sum() - _beaten(scores[~positive], scores[positive])
    total = wins[positive].sum()
    positives = np.bincount(group[positive], minlength=groups).astype(np.float64)
    negatives = np.bincount(group[~positive], minlength=groups).astype(np.float64)
    mixed = ((positives > 0) & (negatives > 0))[group]  # elsewhere no pair lies inside a group
    own, inner = mixed & positive, positive[mixed]
    inside_rank = np.bincount(group[own], weights=_midranks(scores[mixed], group[mixed])[inner], minlength=groups)
    inside = inside_rank - np.where((positives > 0) & (negatives > 0), positives * (positives + 1) / 2, 0.0)
    left = total - np.bincount(group, weights=wins, minlength=groups) + inside
    pairs = (positives.sum() - positives) * (negatives.sum() - negatives)
    whole = divide(np.array(total), np.array(positives.sum() * negatives.sum()))
    return float(whole), divide(left, pairs)


def average_precision(positive: Bools, scores: Floats, group: Ints, groups: int) -> tuple[float, Floats]:
    """Average precision (steps at distinct scores) of one class, and its value without each group.

    It is the mean, over positives, of the precision among images scored at least as high.
    NaN where no positive is left. Costs O(n log n), and O(n) more for each image of the largest group.
    """
    hit_scores = np.sort(scores[positive])
    hits = len(hit_scores)
    if hits == 0:
        return float("nan"), np.full(groups, np.nan)
    above_all = (len(scores) - np.searchsorted(np.sort(scores), hit_scores, side="left")).astype(np.float64)
    above_hits = (hits - np.searchsorted(hit_scores, hit_scores, side="left")).astype(np.float64)
    whole = float((above_hits / above_all).mean())
    reach = np.searchsorted(hit_scores, scores, side="right")  # positives scored at most as high as each image
    own = np.bincount(group[positive], minlength=groups).astype(np.float64)
    sums = _precision_without_each_group(_Members.of(positive, reach, group), above_hits, above_all, groups)
    return whole, divide(sums, hits - own)


@dataclass(frozen=True)
class _Members:
    """Images by group, those of highest score first; tied ones make a run. All arrays: (images,).

    Without its group, the positives from `low` to `reach` lose exactly the first `rank` members of it, `hits` of
    which are positive. `own` counts the positives of a run at its last member, and is 0 elsewhere.
    """

    group: Ints
    reach: Ints
    low: Ints
    rank: Ints
    hits: Floats
    own: Floats

    @classmethod
    def of(cls, positive: Bools, reach: Ints, group: Ints) -> "_Members":
        order = np.lexsort((-reach, group))
        group, reach = group[order], reach[order]
        counted = _running(positive[order].astype(np.float64))
        is_first = np.r_[True, group[1:] != group[:-1]]
        is_last = np.r_[is_first[1:], True]
        place = np.arange(len(order))
        start = np.maximum.accumulate(np.where(is_first, place, 0))
        ends = np.flatnonzero(is_last | np.r_[reach[1:] != reach[:-1], True])
        own = np.zeros(len(order))
        own[ends] = np.diff(counted[ends + 1], prepend=0.0)
        low = np.where(is_last, 0, np.r_[reach[1:], 0])
        return cls(group, reach, low, place - start + 1, counted[1:] - counted[start], own)


def _precision_without_each_group(members: _Members, above_hits: Floats, above_all: Floats, groups: int) -> Floats:
    """Sum, over the positives outside each group, of their precision without it: (groups,)."""
    untouched = np.zeros(groups, dtype=np.int64)
    np.maximum.at(untouched, members.group, members.reach)
    whole = _running(divide(above_hits, above_all))
    sums = whole[-1] - whole[untouched]
    by_rank = np.argsort(members.rank, kind="stable")
    starts = np.searchsorted(members.rank[by_rank], np.arange(1, members.rank.max() + 2))
    for lost, (start, end) in enumerate(pairwise(starts), start=1):
        these = by_rank[start:end]
        high, low, hits = members.reach[these], members.low[these], members.hits[these]
        share = np.where(above_all > lost, 1 / np.maximum(above_all - lost, 1), 0.0)
        all_hits, ones = _running(above_hits * share), _running(share)
        added = all_hits[high] - all_hits[low] - hits * (ones[high] - ones[low])
        last = np.maximum(high - 1, 0)
        removed = members.own[these] * (above_hits[last] - hits) * share[last]
        sums += np.bincount(members.group[these], weights=added - removed, minlength=groups)
    return np.asarray(sums, dtype=np.float64)


def _beaten(scores: Floats, others: Floats) -> Floats:
    """How many of the others each score beats; ties count half."""
    in_order = np.sort(others)
    below, not_above = (np.searchsorted(in_order, scores, side=side) for side in ("left", "right"))
    return np.asarray((below + not_above) / 2, dtype=np.float64)


def _running(values: Floats) -> Floats:
    """Sums of the first 0, 1, 2, ... values."""
    return np.concatenate([[0.0], values.cumsum()])


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
