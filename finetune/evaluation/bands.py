"""Confidence bands of ROC and precision-recall curves, from the intervals of the shares that a curve is drawn of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.intervals import share_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_STEPS = 201
_MOST_CUTS = 200


@dataclass(frozen=True)
class Band:
    """The heights, `low` to `high`, that agree with the images at each place `at` of 0 to 1: (places,)."""

    at: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class _Cuts:
    """Images called the class at each cut of the scores, by group: (groups, cuts), from none called to all."""

    positives: Floats
    negatives: Floats
    is_thinned: bool

    @classmethod
    def of(cls, positive: Bools, scores: Floats, group: Ints, groups: int) -> "_Cuts":
        levels = np.unique(scores)[::-1]
        is_thinned = len(levels) > _MOST_CUTS
        if is_thinned:
            levels = levels[np.linspace(0, len(levels) - 1, _MOST_CUTS).round().astype(np.int64)]
        first = np.searchsorted(-levels, -scores, side="left") + 1  # the cut that calls an image first; 0 calls none
        shape = (groups, len(levels) + 1)
        place = group * shape[1] + first

        def called(kept: Bools) -> Floats:
            counted = np.bincount(place[kept], minlength=shape[0] * shape[1]).reshape(shape)
            return np.asarray(counted.cumsum(axis=1), dtype=np.float64)

        return cls(called(positive), called(~positive), is_thinned)


def roc_band(positive: Bools, scores: Floats, group: Ints, groups: int, confidence: float) -> Band:
    """At every false-positive rate, the true-positive rates that agree with the images; both classes must occur.

    A cut of the scores gives two shares, and each its Clopper-Pearson interval at the effective size of the groups,
    both at (1 + confidence) / 2, so that together they hold with `confidence`: a box. The band is what the boxes of all
    cuts cover above a rate. The cut that truly has this rate is one of them, so the band holds the true curve there
    with `confidence`, of few images as of many, without a model of the scores; it is wider than need be (Hilgers, 1991,
    builds distribution-free bounds of the two shares; here their boxes are drawn). It speaks of one rate at a time, not
    of the whole curve at once.
    """
    cuts = _Cuts.of(positive, scores, group, groups)
    across = _intervals(cuts.negatives, cuts.negatives[:, -1:], confidence)
    up = _intervals(cuts.positives, cuts.positives[:, -1:], confidence)
    return _cover(across, up, cuts.is_thinned)


def precision_recall_band(positive: Bools, scores: Floats, group: Ints, groups: int, confidence: float) -> Band:
    """At every recall, the precisions that agree with the images, as `roc_band` does; the class must occur."""
    cuts = _Cuts.of(positive, scores, group, groups)
    across = _intervals(cuts.positives, cuts.positives[:, -1:], confidence)
    up = _intervals(cuts.positives, cuts.positives + cuts.negatives, confidence)
    return _cover(across, up, cuts.is_thinned)


def _intervals(hits: Floats, sizes: Floats, confidence: float) -> Floats:
    """Low, value and high of the share at each cut: (3, cuts); all of 0 to 1 where there is no image."""
    sizes = np.broadcast_to(sizes, hits.shape)
    found = np.tile(np.array([[0.0], [np.nan], [1.0]]), hits.shape[1])
    for cut in np.flatnonzero(sizes.sum(axis=0) > 0):
        low, high, _ = share_interval(hits[:, cut], sizes[:, cut], (1 + confidence) / 2)
        share = hits[:, cut].sum() / sizes[:, cut].sum()
        found[:, cut] = min(low, share), share, max(high, share)
    return found


def _cover(across: Floats, up: Floats, is_thinned: bool) -> Band:
    """What the boxes cover above each place.

    Where cuts lie apart, by ties or because every so many were taken, the hull of two neighbours stands for those
    between them. The curve itself is always inside.
    """
    at = np.linspace(0, 1, _STEPS)
    sides = across[0], across[2], up[0], up[2]
    hulls = [take(side[:-1], side[1:]) for take, side in zip((np.minimum, np.maximum) * 2, sides, strict=True)]
    low, high = _ranges(hulls, at)
    if not is_thinned:
        near_low, near_high = _ranges(sides, at)
        is_near = np.isfinite(near_low)
        low, high = np.where(is_near, near_low, low), np.where(is_near, near_high, high)
    known = np.isfinite(up[1])
    curve = np.interp(at, across[1][known], up[1][known])
    return Band(at, np.minimum(low, curve), np.maximum(high, curve))


def _ranges(sides: Sequence[Floats], at: Floats) -> tuple[Floats, Floats]:
    """Lowest and highest point over each place of boxes given by their left, right, bottom and top; else infinite."""
    left, right, bottom, top = sides
    is_over = (left[:, np.newaxis] <= at) & (at <= right[:, np.newaxis])  # (boxes, places)
    low = np.where(is_over, bottom[:, np.newaxis], np.inf).min(axis=0)
    return low, np.where(is_over, top[:, np.newaxis], -np.inf).max(axis=0)
