"""Measures that follow from counts of right and wrong, whole and with each group left out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Outcomes:
    """One split as indices: for each image its true class, its predicted class and its group (0..groups-1)."""

    truth: Ints
    predicted: Ints
    group: Ints
    classes: int
    groups: int


@dataclass(frozen=True)
class Counts:
    """Hits, images and calls per class; the last axis is the class, axes before it are tables."""

    hits: Floats
    images: Floats
    calls: Floats

    def shared(self, repeats: int) -> "Counts":
        """The same where so many rows share one image."""
        return Counts(self.hits / repeats, self.images / repeats, self.calls / repeats)


def count(outcomes: Outcomes) -> Counts:
    """Counts of the whole table: (classes,)."""
    hit = outcomes.truth[outcomes.truth == outcomes.predicted]
    return Counts(*(_tally(values, outcomes.classes) for values in (hit, outcomes.truth, outcomes.predicted)))


def count_without_each_group(outcomes: Outcomes) -> Counts:
    """Counts of the table with one group left out: (groups, classes)."""
    whole = count(outcomes)
    shape = (outcomes.groups, outcomes.classes)
    is_hit = outcomes.truth == outcomes.predicted

    def left(total: Floats, values: Ints, group: Ints) -> Floats:
        return total - _tally(group * outcomes.classes + values, shape[0] * shape[1]).reshape(shape)

    return Counts(
        left(whole.hits, outcomes.truth[is_hit], outcomes.group[is_hit]),
        left(whole.images, outcomes.truth, outcomes.group),
        left(whole.calls, outcomes.predicted, outcomes.group),
    )


def confusion(outcomes: Outcomes) -> Ints:
    """Images per true class (row) and predicted class (column)."""
    cell = outcomes.truth * outcomes.classes + outcomes.predicted
    return np.bincount(cell, minlength=outcomes.classes**2).reshape(outcomes.classes, outcomes.classes)


def recall(counts: Counts) -> Floats:
    """Hits among the images of each class; NaN where it has none."""
    return divide(counts.hits, counts.images)


def jaccard(counts: Counts) -> Floats:
    """TP / (TP + FP + FN) of each class; F1 is 2J / (1 + J)."""
    return divide(counts.hits, counts.images + counts.calls - counts.hits)


def f1(counts: Counts) -> Floats:
    """2 TP / (2 TP + FP + FN) of each class; NaN for a class neither present nor called."""
    return divide(2 * counts.hits, counts.images + counts.calls)


def mean_over_classes(values: Floats) -> Floats:
    """Plain mean over the classes where the measure exists; NaN where it exists for none."""
    exists = np.isfinite(values)
    return divide(np.where(exists, values, 0.0).sum(axis=-1), exists.sum(axis=-1).astype(np.float64))


def matthews(counts: Counts) -> Floats:
    """Matthews correlation for many classes (Gorodkin, 2004); NaN where truth or calls do not vary."""
    total = counts.images.sum(axis=-1)
    hits = counts.hits.sum(axis=-1)
    covariance = hits * total - (counts.images * counts.calls).sum(axis=-1)
    spread_true = total**2 - (counts.images**2).sum(axis=-1)
    spread_called = total**2 - (counts.calls**2).sum(axis=-1)
    return divide(covariance, np.sqrt(spread_true) * np.sqrt(spread_called))


def divide(above: Floats, below: Floats) -> Floats:
    """above / below, NaN for 0/0."""
    safe = np.where(below > 0, below, 1.0)
    return np.where(below > 0, above / safe, np.nan)


def _tally(values: Ints, length: int) -> Floats:
    return np.bincount(values, minlength=length).astype(np.float64)
