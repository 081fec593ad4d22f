"""The numbers of parts of the images that share a value of some further column, such as site or sex."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from finetune.errors import InputError
from finetune.evaluation.evaluating import evaluate_predictions
from finetune.evaluation.predictions import LABEL, PATH, PREDICTED, SCORE_PREFIX, SPLIT, calibrated_column
from finetune.evaluation.result import Metric
from finetune.evaluation.split import select_split
from recipes.nearest import nearest

FEW_IMAGES = 10
FEW_GROUPS = 10


@dataclass(frozen=True)
class Subgroup:
    """The images of one value; "" stands for those without one. `recall` and `support` are by class."""

    value: str
    images: int
    groups: int
    accuracy: Metric
    balanced_accuracy: Metric
    recall: Mapping[str, Metric]
    support: Mapping[str, int]

    @property
    def caution(self) -> str | None:
        """Why the row tells little, or None."""
        few = [f"{count} of '{label}'" for label, count in self.support.items() if count < FEW_IMAGES]
        told = [f"few images ({', '.join(few[:3])}{' and others' if len(few) > 3 else ''})"] if few else []
        told += ["one group" if self.groups == 1 else f"{self.groups} groups"] if self.groups < FEW_GROUPS else []
        return " from ".join(told) or None


def evaluate_subgroups(
    predictions: pd.DataFrame, labels: tuple[str, ...], columns: Sequence[str], split: str, confidence: float
) -> dict[str, tuple[Subgroup, ...]] | None:
    """For each column its values with their numbers, sorted, the missing one last; None without columns.

    Raises InputError for a column that the table does not have, naming the nearest.
    """
    if not columns:
        return None
    rows = select_split(predictions, split)
    found = {}
    for column in columns:
        _check_column(column, rows, labels)
        values = rows[column].astype(object).where(rows[column].notna(), "").astype(str).str.strip()
        distinct = sorted(set(values), key=lambda value: (value == "", value))
        found[column] = tuple(
            _evaluate_value(value, rows[values == value], labels, split, confidence) for value in distinct
        )
    return found


def subgroup_warnings(subgroups: Mapping[str, Sequence[Subgroup]] | None) -> tuple[str, ...]:
    """One sentence for each column with values that tell little."""
    told = []
    for column, values in (subgroups or {}).items():
        if small := [value for value in values if value.caution]:
            which = "its only value rests" if len(values) == 1 else f"{len(small)} of {len(values)} values rest"
            told.append(f"Subgroups by '{column}': {which} on few images or groups; expect very wide intervals.")
    return tuple(told)


def _evaluate_value(value: str, rows: pd.DataFrame, labels: tuple[str, ...], split: str, confidence: float) -> Subgroup:
    evaluation = evaluate_predictions(rows, labels, split=split, confidence=confidence)
    return Subgroup(
        value=value,
        images=evaluation.images,
        groups=evaluation.groups,
        accuracy=evaluation.overall["accuracy"],
        balanced_accuracy=evaluation.overall["balanced_accuracy"],
        recall={label: evaluation.per_class[label]["recall"] for label in labels},
        support=evaluation.support,
    )


def _check_column(column: str, rows: pd.DataFrame, labels: tuple[str, ...]) -> None:
    own = {PATH, LABEL, SPLIT, PREDICTED, *(calibrated_column(label) for label in labels)}
    known = [str(name) for name in rows.columns if name not in own and not str(name).startswith(SCORE_PREFIX)]
    if column in known:
        return
    meant = nearest(column, known)
    hint = f"did you mean {meant!r}?" if meant else f"it has: {', '.join(known)}. A run keeps those that it is told of"
    raise InputError(f"evaluate.subgroups: the predictions have no column {column!r} to part images by; {hint}")
