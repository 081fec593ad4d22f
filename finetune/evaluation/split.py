"""One split of a predictions table, as arrays."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.errors import InputError
from finetune.evaluation.counts import Outcomes
from finetune.evaluation.predictions import (
    GROUP,
    LABEL,
    PATH,
    PREDICTED,
    SPLIT,
    normalise_predictions,
    score_column,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """One split of a predictions table, as arrays."""

    outcomes: Outcomes
    scores: Floats | None  # (images, classes)
    groups_per_class: Floats  # groups with an image of each class
    groups_of_rest: Floats  # groups with an image of another class
    labels: tuple[str, ...]
    confidence: float

    @classmethod
    def of(cls, outcomes: Outcomes, scores: Floats | None, labels: tuple[str, ...], confidence: float) -> "Split":
        """The split of these outcomes, its groups counted."""
        pairs = np.unique(outcomes.group * outcomes.classes + outcomes.truth)
        group, truth = np.divmod(pairs, outcomes.classes)
        per_class = np.bincount(truth, minlength=outcomes.classes).astype(np.float64)
        is_pure = np.bincount(group, minlength=outcomes.groups)[group] == 1
        of_rest = outcomes.groups - np.bincount(truth[is_pure], minlength=outcomes.classes).astype(np.float64)
        return cls(outcomes, scores, per_class, of_rest, labels, confidence)

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
        return Split.of(outcomes, scores, self.labels, self.confidence)


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
    own = pd.Series([f"\0{number}" for number in range(len(rows))])
    group, _ = pd.factorize(named.where(named != "", own))
    groups = int(group.max()) + 1
    columns = [score_column(label) for label in labels]
    missing = [column for column in columns if column not in rows.columns]
    if missing and len(missing) < len(columns):
        raise InputError(f"the predictions table lacks the column {missing[0]!r}.")
    scores = None if missing else rows[columns].to_numpy(dtype=np.float64)
    return Split.of(Outcomes(truth, predicted, group.astype(np.int64), len(labels), groups), scores, labels, confidence)


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
