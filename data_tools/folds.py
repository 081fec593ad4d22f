"""Repeated, grouped, stratified folds: every image is held out once in each repeat, never apart from its group."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_tools.errors import DataError, faults_error
from data_tools.wording import counted


def cut_folds(
    labels: Sequence[str], units: Sequence[int], folds: int, repeats: int = 1, seed: int = 0
) -> NDArray[np.int64]:
    """The fold, from 0, in which each image is held out: (repeats, images).

    By scikit-learn's StratifiedGroupKFold; `units` are join_units' numbers of groups and equal files. Deterministic in
    its arguments. Raises DataError that says how many folds the data allow, where a class has fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if folds < 2 or repeats < 1:
        raise DataError(f"folds must be 2 or more and repeats 1 or more, got {folds} and {repeats}")
    _check_classes(labels, units, folds)
    fold_of = np.full((repeats, len(labels)), -1, dtype=np.int64)
    for repeat in range(repeats):
        dealer = StratifiedGroupKFold(folds, shuffle=True, random_state=(seed + 7919 * repeat) % 2**32)
        for fold, (_, held_out) in enumerate(dealer.split(np.zeros(len(labels)), list(labels), list(units))):
            fold_of[repeat, held_out] = fold
    return fold_of


def count_units(labels: Sequence[str], units: Sequence[int]) -> dict[str, int]:
    """How many groups hold images of each class."""
    held: defaultdict[str, set[int]] = defaultdict(set)
    for label, unit in zip(labels, units, strict=True):
        held[label].add(unit)
    return {label: len(own) for label, own in sorted(held.items())}


def _check_classes(labels: Sequence[str], units: Sequence[int], folds: int) -> None:
    counts = count_units(labels, units)
    few = {label: count for label, count in counts.items() if count < folds}
    if not few:
        return
    least = min(few.values())
    allowed = f"at most {least} folds are possible" if least > 1 else "no folds are possible"
    faults = [
        f"class {label!r} has images in {counted(count, 'group')} only, too few for {folds} folds; {allowed}, or take "
        "the class out or join it to another"
        for label, count in few.items()
    ]
    raise faults_error("folds", faults)
