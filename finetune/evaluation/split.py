"""One split of a predictions table, as arrays."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.errors import InputError
from finetune.evaluation.counts import Outcomes
from finetune.evaluation.predictions import (
    FOLD,
    GROUP,
    LABEL,
    PATH,
    PREDICTED,
    REPEAT,
    SPLIT,
    normalise_predictions,
    score_column,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Split:
    """One split of a predictions table, as arrays.

    Of a repeated cross-validation each image has a row a repeat; these rows are one group, or lie in one.
    """

    outcomes: Outcomes
    scores: Floats | None  # (images, classes)
    groups_per_class: Floats  # groups with an image of each class
    groups_of_rest: Floats  # groups with an image of another class
    labels: tuple[str, ...]
    confidence: float
    folds: Texts  # the fold of each row, "" where there is none
    repeats: int = 1  # rows of each image

    @classmethod
    def of(
        cls,
        outcomes: Outcomes,
        scores: Floats | None,
        labels: tuple[str, ...],
        confidence: float,
        folds: Texts | None = None,
        repeats: int = 1,
    ) -> "Split":
        """The split of these outcomes, its groups counted."""
        pairs = np.unique(outcomes.group * outcomes.classes + outcomes.truth)
        group, truth = np.divmod(pairs, outcomes.classes)
        per_class = np.bincount(truth, minlength=outcomes.classes).astype(np.float64)
        is_pure = np.bincount(group, minlength=outcomes.groups)[group] == 1
        of_rest = outcomes.groups - np.bincount(truth[is_pure], minlength=outcomes.classes).astype(np.float64)
        own = np.full(len(outcomes.truth), "", dtype=object) if folds is None else folds
        return cls(outcomes, scores, per_class, of_rest, labels, confidence, own, repeats)

    @property
    def images(self) -> int:
        """Images, each once whatever its repeats."""
        return len(self.outcomes.truth) // self.repeats

    @property
    def is_pure(self) -> bool:
        """Whether no group has images of several classes, so that what is told of two classes is independent."""
        return bool(self.groups_per_class.sum() == self.outcomes.groups)

    def take(self, is_taken: Bools) -> "Split":
        """Some of the images, (images,), as a split of their own."""
        held = self.outcomes
        names, group = np.unique(held.group[is_taken], return_inverse=True)
        outcomes = Outcomes(held.truth[is_taken], held.predicted[is_taken], group, held.classes, len(names))
        scores = None if self.scores is None else self.scores[is_taken]
        return Split.of(outcomes, scores, self.labels, self.confidence, self.folds[is_taken], self.repeats)


def select_split(predictions: pd.DataFrame, split: str) -> pd.DataFrame:
    """Rows of one split, normalised. Raises InputError where there are none."""
    table = normalise_predictions(predictions)
    rows = table[table[SPLIT] == split].reset_index(drop=True)
    if rows.empty:
        seen = ", ".join(repr(name) for name in sorted(set(table[SPLIT].astype(str)))[:5]) or "no rows"
        raise InputError(f"the predictions hold no row of the split {split!r}, only: {seen}.")
    return rows


def read_split(predictions: pd.DataFrame, labels: tuple[str, ...], split: str, confidence: float) -> Split:
    """One split as arrays. Raises InputError as `evaluate_predictions` does."""
    rows = select_split(predictions, split)
    truth, predicted = (_to_targets(rows, column, labels) for column in (LABEL, PREDICTED))
    named = rows[GROUP].astype(str)
    repeats = _count_repeats(rows)
    own = pd.Series([f"\0{number}" for number in range(len(rows))]) if repeats == 1 else "\0" + rows[PATH].astype(str)
    group, _ = pd.factorize(named.where(named != "", own))
    groups = int(group.max()) + 1
    columns = [score_column(label) for label in labels]
    missing = [column for column in columns if column not in rows.columns]
    if missing and len(missing) < len(columns):
        raise InputError(f"the predictions table lacks the column {missing[0]!r}.")
    scores = None if missing else rows[columns].to_numpy(dtype=np.float64)
    outcomes = Outcomes(truth, predicted, group.astype(np.int64), len(labels), groups)
    return Split.of(outcomes, scores, labels, confidence, _folds_of(rows), repeats)


def _count_repeats(rows: pd.DataFrame) -> int:
    """Rows of each image: as many as there are repeats, where every image has so many; else 1."""
    repeats = rows[REPEAT].nunique() if REPEAT in rows.columns else 1
    is_whole = repeats > 1 and bool((rows.groupby(PATH)[REPEAT].nunique() == repeats).all())
    return int(repeats) if is_whole and len(rows) == repeats * rows[PATH].nunique() else 1


def _folds_of(rows: pd.DataFrame) -> Texts | None:
    """Names of folds that are equal for rows of one trained network; None for a table without any."""
    columns = [rows[column].astype(str) for column in (REPEAT, FOLD) if column in rows.columns]
    if FOLD not in rows.columns:
        return None
    return (columns[0] + "|" + columns[-1]).to_numpy(dtype=object)


def find_split(predictions: pd.DataFrame, labels: tuple[str, ...], split: str, confidence: float) -> Split | None:
    """The same, or None where the table has no row of the split."""
    if SPLIT not in predictions.columns or not (predictions[SPLIT] == split).any():
        return None
    return read_split(predictions, labels, split, confidence)


def _to_targets(rows: pd.DataFrame, column: str, labels: tuple[str, ...]) -> NDArray[np.int64]:
    targets = pd.Index(labels, dtype=object).get_indexer(pd.Index(rows[column].astype(object)))
    unknown = np.flatnonzero(targets < 0)
    if len(unknown):
        row = rows.iloc[int(unknown[0])]
        raise InputError(
            f"the predictions name a class {str(row[column])!r} in column {column!r} (image {str(row[PATH])!r}) "
            f"that is none of the {len(labels)} classes with scores."
        )
    return targets.astype(np.int64)
