"""How a cross-validation holds images out, and the datasets that come of it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_tools import Dataset
from data_tools.folds import cut_folds
from data_tools.holding_out import hold_out, image_units, usable_images
from recipes import Recipe


@dataclass(frozen=True)
class Folding:
    """What a cross-validation is asked for."""

    folds: int = 5
    repeats: int = 1
    select: tuple[tuple[str, object], ...] = ()
    """Keys of recipes with values; of those of one key the best is chosen inside each fold."""
    inner_folds: int = 3
    keeps_final: bool = False
    """Train once more on all images, and keep that model."""
    draws_curve: bool = False
    """Train on ever fewer images too, to tell whether more would help."""


@dataclass(frozen=True)
class FoldPlace:
    """One fold; both numbers count from 1."""

    repeat: int
    fold: int


@dataclass(frozen=True, eq=False)
class FoldCut:
    """The fold in which each usable image is held out, in each repeat: `fold_of` is (repeats, images), from 1."""

    dataset: Dataset
    fold_of: NDArray[np.int64]
    units: list[int]
    val_fraction: float
    seed: int

    @classmethod
    def of(cls, dataset: Dataset, recipe: Recipe, folding: Folding) -> "FoldCut":
        """Cut by class, group and equal files. Raises DataError where a class has fewer groups than folds."""
        units = image_units(dataset, with_copies=recipe.data.join_near_duplicates)
        labels = [str(label) for label in usable_images(dataset)["label"]]
        fold_of = cut_folds(labels, units, folding.folds, folding.repeats, recipe.seed) + 1
        return cls(dataset, fold_of, units, recipe.data.val_fraction, recipe.seed)

    @property
    def rule(self) -> str:
        """How images are held out, in a sentence."""
        repeats, folds = len(self.fold_of), int(self.fold_of.max())
        times = "" if repeats == 1 else f", {repeats} times over"
        return (
            f"{folds} folds by group and class{times} (seed {self.seed}): every image is held out once"
            f"{'' if repeats == 1 else ' each time'}; of the others {100 * self.val_fraction:g} % choose the epoch. "
            "Splits that the data bring are ignored"
        )

    def places(self) -> Iterator[FoldPlace]:
        """Every fold, repeat by repeat."""
        for repeat, row in enumerate(self.fold_of, start=1):
            for fold in range(1, int(row.max()) + 1):
                yield FoldPlace(repeat, fold)

    def name(self, place: FoldPlace) -> str:
        """What progress calls a fold."""
        repeat = f"repeat {place.repeat}, " if len(self.fold_of) > 1 else ""
        return f"{repeat}fold {place.fold} of {int(self.fold_of.max())}: "

    def held_out(self, place: FoldPlace) -> Dataset:
        """The images with one fold as test part."""
        is_held_out = self.fold_of[place.repeat - 1] == place.fold
        return hold_out(self.dataset, is_held_out, self.units, self.val_fraction, self.seed)

    def everything(self) -> Dataset:
        """The images without a test part."""
        nobody = np.zeros(self.fold_of.shape[1], dtype=np.bool_)
        return hold_out(self.dataset, nobody, self.units, self.val_fraction, self.seed)

    def first_folds(self) -> dict[str, int]:
        """The fold of each image in the first repeat, by path."""
        paths = usable_images(self.dataset)["path"]
        return {str(path): int(fold) for path, fold in zip(paths, self.fold_of[0], strict=True)}

    def leakage(self) -> dict[str, int]:
        """Sets of equal files, and groups, that lie in more than one fold of a repeat: counted, not assumed."""
        images = usable_images(self.dataset)
        counts = dict[str, int]()
        for name, column in (("duplicates", "sha256"), ("groups", "group")):
            spread = [_count_spread(images[column], row) for row in self.fold_of]
            counts[f"{name}_across_splits"] = max(spread)
        return counts


def _count_spread(keys: "pd.Series[str]", fold_of: NDArray[np.int64]) -> int:
    named = keys.to_numpy() != ""
    folds = pd.Series(fold_of[named]).groupby(keys.to_numpy()[named]).nunique()
    return int((folds > 1).sum())
