"""Find what gives a label away without the picture: file size, picture size, colour mode, border.

A model finds such a cue too, reports fine numbers, and fails where the cue is absent. Each cue is tried alone: a small
tree predicts the labels by cross-validation, one image for each group, and its balanced accuracy is held
against what it would be if predictions and labels had nothing to do with each other.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_tools.samples import Probe
from data_tools.sketches import unpack_sketches

Numbers = NDArray[np.float64]

FOLDS = 5
MOST_UNITS = 2000
"""Of more groups, evenly spaced ones are looked at."""
STRONG = 0.2
"""A cue counts from this share of the way from chance to certainty on: 0.6 for two classes."""
CLEAR = 3.5
"""And from this many standard deviations above chance on: once in 4,000 tries by chance."""


@dataclass(frozen=True)
class Shortcut:
    """A cue that tells labels."""

    cue: str
    balanced_accuracy: float
    """Over groups, by cross-validation."""
    chance: float


def find_shortcuts(labels: Sequence[str], units: Sequence[int], probes: Sequence[Probe]) -> list[Shortcut]:
    """The cues that tell the labels of images; `units` says which of them belong together.

    Classes with fewer than FOLDS units are left out; with fewer than two others nothing can be said.
    """
    label_of, members = _label_units(labels, units)
    sizes = Counter(label_of.values())
    chosen = [unit for unit in sorted(members) if sizes[label_of[unit]] >= FOLDS]
    chosen = chosen[:: -(-len(chosen) // MOST_UNITS)] if chosen else []
    sizes = Counter(label_of[unit] for unit in chosen)
    if len(sizes) < 2 or min(sizes.values()) < FOLDS:
        return []
    # One image speaks for its group: the others would say the same again.
    places = [members[unit][0] for unit in chosen]
    targets = np.unique([label_of[unit] for unit in chosen], return_inverse=True)[1]
    found = []
    for cue, values in _cues([probes[place] for place in places]).items():
        if len(np.unique(values, axis=0)) > 1:
            score, deviations = _judge(targets, _predict(values, targets))
            chance = 1 / len(sizes)
            if (score - chance) / (1 - chance) >= STRONG and deviations >= CLEAR:
                found.append(Shortcut(cue, score, chance))
    return found


def _label_units(labels: Sequence[str], units: Sequence[int]) -> tuple[dict[int, str], dict[int, list[int]]]:
    """The label of most images of each unit, and the places of the images that have it."""
    places: dict[int, list[int]] = {}
    for place, unit in enumerate(units):
        places.setdefault(unit, []).append(place)
    label_of = {}
    for unit, own in places.items():
        counts = Counter(labels[place] for place in own)
        label_of[unit] = min(counts, key=lambda label: (-counts[label], label))
    return label_of, {unit: [one for one in own if labels[one] == label_of[unit]] for unit, own in places.items()}


def _cues(probes: Sequence[Probe]) -> Mapping[str, Numbers]:
    """What each cue knows of every image: (images, numbers)."""
    sides = np.array([(probe.width or 0, probe.height or 0) for probe in probes], dtype=float)
    kinds = sorted({(probe.format, probe.mode) for probe in probes})
    sketches = unpack_sketches([probe.sketch for probe in probes]).astype(float)
    ring = [sketches[:, 0], sketches[:, -1], sketches[:, :, 0], sketches[:, :, -1]]
    return {
        "file size": np.array([[float(probe.bytes)] for probe in probes]),
        "picture size": np.column_stack([sides, sides[:, 0] / np.maximum(sides[:, 1], 1)]),
        "file format and colour mode": np.array([[float(kinds.index((p.format, p.mode)))] for p in probes]),
        "border": np.column_stack([value for side in ring for value in (side.mean(axis=1), side.std(axis=1))]),
    }


def _predict(values: Numbers, targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Out-of-fold predictions of a tree of at most eight leaves."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    leaf = max(3, len(targets) // 100)
    tree = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=leaf, class_weight="balanced", random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    made: NDArray[np.int64] = cross_val_predict(tree, values, targets, cv=folds)
    return made


def _judge(targets: NDArray[np.int64], predicted: NDArray[np.int64]) -> tuple[float, float]:
    """Balanced accuracy, and how many standard deviations it lies above chance.

    Chance: labels dealt out anew at random, so that the hits of class k out of its r, of which c were predicted,
    follow the hypergeometric distribution, and its mean over the classes is 1 / classes.
    """
    classes, n = int(targets.max()) + 1, len(targets)
    r = np.bincount(targets, minlength=classes).astype(float)
    c = np.bincount(predicted, minlength=classes).astype(float)
    hits = np.bincount(targets[targets == predicted], minlength=classes)
    score = float((hits / r).mean())
    # In shares of r: variance c (n - r)(n - c) / (r n^2 (n - 1)) of a class, covariance c_k c_l / (n^2 (n - 1)) of two.
    variance = (c * (n - r) * (n - c) / r).sum() + c.sum() ** 2 - (c**2).sum()
    deviation = float(np.sqrt(variance / (n**2 * (n - 1)))) / classes
    return score, (score - 1 / classes) / max(deviation, 1e-9)
