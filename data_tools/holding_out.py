"""Datasets in which chosen images are the held-out part, for cross-validation over one scan."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_tools.columns import (
    CHECK,
    DETAIL,
    FINDING_COLUMNS,
    NOTE,
    OK,
    OTHER_PATH,
    PATH,
    REASON,
    SKIPPED,
    SPLIT,
    STATUS,
    TEST,
    TRAIN,
    VAL,
    WARNING,
)
from data_tools.dataset import Dataset
from data_tools.splitting import cut_parts, join_units

_ACROSS, _RULE = "_across_splits", "split_rule"
_COPIES = ("near_duplicate", f"near_duplicate{_ACROSS}")
_LEFT_OUT = {STATUS: SKIPPED, REASON: "left out, not looked at"}
_PAIRS = (*_COPIES, "duplicate", f"duplicate{_ACROSS}")


def usable_images(dataset: Dataset) -> pd.DataFrame:
    """The images of every split that can be read, in the order of the table, with a fresh index."""
    return dataset.table[dataset.table[STATUS] == OK].reset_index(drop=True)


def image_units(dataset: Dataset, *, with_copies: bool = False) -> list[int]:
    """One number for each usable image, equal for those that must not be split apart: of a group, or equal files.

    With `with_copies` near copies, as the audit has found them, stay together too.
    """
    images = usable_images(dataset)
    found = dataset.findings[dataset.findings[CHECK].isin(_COPIES)] if with_copies else dataset.findings[:0]
    place = {str(path): number for number, path in enumerate(images[PATH])}
    pairs = [(place[str(one)], place[str(two)]) for one, two in zip(found[PATH], found[OTHER_PATH], strict=True)]
    return join_units(list(images["group"]), list(images["sha256"]), pairs=pairs)


def hold_out(
    dataset: Dataset, is_held_out: NDArray[np.bool_], units: Sequence[int], val_fraction: float, seed: int
) -> Dataset:
    """The same images with those of `is_held_out` as test part; `val_fraction` of the others is cut off as val.

    `is_held_out` and `units` are those of `usable_images`. The other images are cut by unit and class.
    """
    images = usable_images(dataset)
    parts = np.where(is_held_out, TEST, TRAIN).astype(object)
    rest = np.flatnonzero(~is_held_out)
    if val_fraction:
        labels = [str(label) for label in images["label"].iloc[rest]]
        parts[rest] = cut_parts(labels, [units[int(place)] for place in rest], {VAL: val_fraction}, seed)
    return with_splits(dataset, dict(zip(images[PATH], parts, strict=True)))


def without_part(dataset: Dataset, split: str) -> Dataset:
    """The same dataset, in which the images of one split count as skipped."""
    return _left_out(dataset, dataset.table[SPLIT] == split)


def _left_out(dataset: Dataset, is_left_out: "pd.Series[bool]") -> Dataset:
    columns = {column: dataset.table[column].mask(is_left_out, text) for column, text in _LEFT_OUT.items()}
    return replace(dataset, table=dataset.table.assign(**columns))


def halve_training(dataset: Dataset, units: Sequence[int], seed: int) -> Dataset:
    """The same dataset with about half of its train and val images, cut by unit and class; the others count as skipped.

    `units` are those of `usable_images`. Every class keeps an image.
    """
    images = usable_images(dataset)
    inside = np.flatnonzero((images[SPLIT] != TEST).to_numpy())
    labels = [str(label) for label in images["label"].iloc[inside]]
    halves = cut_parts(labels, [units[int(place)] for place in inside], {VAL: 0.5}, seed)
    dropped = {str(images[PATH].iloc[place]) for place, half in zip(inside, halves, strict=True) if half == VAL}
    return _left_out(dataset, dataset.table[PATH].isin(dropped))


def with_splits(dataset: Dataset, split_of: dict[str, str]) -> Dataset:
    """The same dataset, each image of `split_of` in the split that stands there; the others keep theirs."""
    split = dataset.table[PATH].map(split_of).fillna(dataset.table[SPLIT]).astype("str")
    return replace(dataset, table=dataset.table.assign(**{SPLIT: split}))


def tell_folds(dataset: Dataset, fold_of: dict[str, int], rule: str) -> Dataset:
    """The same dataset, in whose findings folds (from 1) stand for splits, and `rule` for how these came about."""
    rows = dataset.findings[dataset.findings[CHECK] != _RULE].to_dict("records")
    findings = [{str(name): str(value) for name, value in row.items()} for row in rows]
    told = [_in_folds(row, fold_of) if row[CHECK] in _PAIRS else row for row in findings]
    note = {CHECK: _RULE, "severity": NOTE, PATH: "", OTHER_PATH: "", DETAIL: rule}
    table = pd.DataFrame([*told, note], columns=list(FINDING_COLUMNS), dtype=str)
    return replace(dataset, findings=table, held_out_note=rule)


def _in_folds(row: dict[str, str], fold_of: dict[str, int]) -> dict[str, str]:
    """A finding about two images, with the folds in which they lie."""
    one, other = fold_of[row[PATH]], fold_of[row[OTHER_PATH]]
    what = "equal files" if row[CHECK].startswith("duplicate") else "the same picture"
    if one == other:
        return row | {CHECK: row[CHECK].removesuffix(_ACROSS), "severity": NOTE, DETAIL: f"{what}, both in fold {one}"}
    check = row[CHECK].removesuffix(_ACROSS) + _ACROSS
    return row | {CHECK: check, "severity": WARNING, DETAIL: f"{what} in fold {one} and fold {other}"}
