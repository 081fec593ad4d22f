"""One row a group: the score of a patient (slide, source image) from those of its images."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.evaluation.counts import Outcomes
from finetune.evaluation.evaluating import evaluate_predictions
from finetune.evaluation.predictions import GROUP, LABEL, PATH, PREDICTED, REPEAT, SPLIT, score_column
from finetune.evaluation.result import Evaluation
from finetune.evaluation.split import Split, select_split

Floats = NDArray[np.float64]
GroupScore = Literal["mean", "max", "vote"]
_NAMES_SHOWN = 3


@dataclass(frozen=True)
class ByGroup:
    """The evaluation of one row a group; None where every group has images of several classes."""

    score: GroupScore
    """How a group's score was made."""
    evaluation: Evaluation | None
    left_out: tuple[str, ...]
    """Groups whose images have several labels."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before using the numbers."""
        if not self.left_out:
            return ()
        names = ", ".join(f"'{name}'" for name in self.left_out[:_NAMES_SHOWN])
        more = len(self.left_out) - _NAMES_SHOWN
        shown = f"{names} and {more} more" if more > 0 else names
        return (f"Left out of the numbers by group, since their images have several labels: {shown}.",)


def evaluate_by_group(
    predictions: pd.DataFrame, part: Split, split: str, score: GroupScore, order: tuple[str, ...] | None = None
) -> ByGroup | None:
    """The numbers of groups, each judged once; None where every group has one image.

    `part` is the split as arrays. Without scores, groups are judged by vote.
    """
    if part.outcomes.groups == part.images:
        return None
    how: GroupScore = score if part.scores is not None else "vote"
    rows = select_split(predictions, split)
    table, left_out = _aggregate_repeats(rows, part, how) if part.repeats > 1 else aggregate_groups(rows, part, how)
    if table.empty:
        return ByGroup(how, None, left_out)
    evaluation = evaluate_predictions(table, part.labels, split=split, confidence=part.confidence, order=order)
    return ByGroup(how, evaluation, left_out)


def _aggregate_repeats(rows: pd.DataFrame, part: Split, how: GroupScore) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The same with a row a group and repeat."""
    made, left_out = list[pd.DataFrame](), tuple[str, ...]()
    repeats = rows[REPEAT].to_numpy()
    for repeat in sorted(set(repeats)):
        own = repeats == repeat
        table, left_out = aggregate_groups(rows[own].reset_index(drop=True), replace(part.take(own), repeats=1), how)
        made.append(table.assign(**{REPEAT: repeat}))
    return pd.concat(made, ignore_index=True), left_out


def aggregate_groups(rows: pd.DataFrame, part: Split, how: GroupScore) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A predictions table with one row a group, and the groups that are left out since their labels differ.

    mean: each class's mean score, the highest is the answer. max: each class's highest score, the highest of these is
    the answer; no probabilities. vote: the share of images answered so, the most frequent is the answer, of equally
    frequent ones that of the higher mean score, then the first. `path` holds the group's name, of an image without
    one its path.
    """
    outcomes, classes = part.outcomes, part.outcomes.classes
    groups, images = outcomes.groups, np.bincount(outcomes.group, minlength=outcomes.groups).astype(np.float64)
    first = np.unique(outcomes.group, return_index=True)[1]
    votes = _tally(outcomes.predicted, outcomes) / images[:, None]
    scores, answers = votes, _most_voted(votes, part, images)
    if how != "vote" and part.scores is not None:
        if how == "mean":
            scores = _sums(part.scores, outcomes.group, groups) / images[:, None]
        else:
            scores = np.full((groups, classes), -np.inf)
            np.maximum.at(scores, outcomes.group, part.scores)
        answers = np.asarray(scores.argmax(axis=1), dtype=np.int64)
    labels = np.array(part.labels, dtype=object)
    names = rows[GROUP].astype(str).where(rows[GROUP].astype(str) != "", rows[PATH].astype(str)).to_numpy()[first]
    columns = {PATH: names, LABEL: labels[outcomes.truth[first]], GROUP: "", SPLIT: rows[SPLIT].to_numpy()[first]}
    table = pd.DataFrame(columns | {PREDICTED: labels[answers]})
    added = pd.DataFrame(scores, columns=[score_column(label) for label in part.labels])
    is_mixed = _tally(outcomes.truth, outcomes).max(axis=1) < images
    whole = pd.concat([table, added], axis=1)[~is_mixed].reset_index(drop=True)
    return whole, tuple(str(name) for name in names[is_mixed])


def _most_voted(votes: Floats, part: Split, images: Floats) -> NDArray[np.int64]:
    is_most = votes >= votes.max(axis=1, keepdims=True)
    if part.scores is None:
        return np.asarray(is_most.argmax(axis=1), dtype=np.int64)
    means = _sums(part.scores, part.outcomes.group, part.outcomes.groups) / images[:, None]
    return np.asarray(np.where(is_most, means, -np.inf).argmax(axis=1), dtype=np.int64)


def _tally(targets: NDArray[np.int64], outcomes: Outcomes) -> Floats:
    """Images of each group (row) by target (column)."""
    cells = np.bincount(outcomes.group * outcomes.classes + targets, minlength=outcomes.groups * outcomes.classes)
    return cells.reshape(outcomes.groups, outcomes.classes).astype(np.float64)


def _sums(values: Floats, group: NDArray[np.int64], groups: int) -> Floats:
    sums = np.zeros((groups, values.shape[1]))
    np.add.at(sums, group, values)
    return sums
