"""Choose between recipes on inner folds of the training part of a fold; the held-out part never has a say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, log_loss

from data_tools import DataError, Dataset
from data_tools.folds import count_units, cut_folds
from data_tools.holding_out import hold_out, usable_images, without_part
from finetune.errors import InputError
from finetune.evaluation import score_column
from finetune.jobs.fold_fitting import FoldFitter
from recipes import Recipe, change_recipe

Setting = tuple[str, object]


@dataclass(frozen=True)
class Candidate:
    """A recipe that may be chosen, and what tells it from the others."""

    name: str
    fitter: FoldFitter


@dataclass(frozen=True)
class InnerScore:
    """What a candidate did out of the inner folds: every image once."""

    candidate: str
    balanced_accuracy: float
    log_loss: float


def list_choices(recipe: Recipe, settings: Sequence[Setting]) -> dict[str, Recipe]:
    """Every combination of the values that each key is given, by its name; `recipe` alone where none is.

    Raises InputError for a key of the data, which no candidate may change.
    """
    values: dict[str, list[object]] = {}
    for key, value in settings:
        values.setdefault(key, []).append(value)
    refused = [key for key in values if key.startswith("data.") or key in ("seed", "task")]
    if refused:
        raise InputError(f"--select {refused[0]}: candidates share data and seed; choose among other keys.")
    single = [key for key, given in values.items() if len(given) == 1]
    if single:
        raise InputError(f"--select {single[0]}: one value is no choice; give the option once for each value.")
    chosen = [dict(zip(values, combination, strict=True)) for combination in product(*values.values())]
    return {_name(overrides): change_recipe(recipe, overrides) for overrides in chosen}


def _name(overrides: Mapping[str, object]) -> str:
    told = [f"{key.rpartition('.')[2]} {_plain(value)}" for key, value in overrides.items()]
    return ", ".join(told) or "the recipe"


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def score_inside(
    candidates: Sequence[Candidate], dataset: Dataset, units: Sequence[int], folds: int, name: str
) -> list[InnerScore]:
    """What each candidate does out of `folds` inner folds of the images outside of the test part of `dataset`.

    `units` are those of all usable images. Fewer folds where a class has fewer groups.

    Raises DataError where a class has one group only.
    """
    inside = without_part(dataset, "test")
    images = usable_images(dataset)
    own = [unit for unit, split in zip(units, images["split"], strict=True) if split != "test"]
    labels = [str(label) for label in images["label"][images["split"] != "test"]]
    folds = min(folds, *count_units(labels, own).values())
    if folds < 2:
        raise DataError("--select: a class has one group outside of a fold, too few to choose by; leave --select out")
    seed = candidates[0].fitter.recipe.seed
    fold_of = cut_folds(labels, own, folds, seed=seed)[0]
    scores = []
    for candidate in candidates:
        val = candidate.fitter.recipe.data.val_fraction
        parts = []
        for fold in range(folds):
            inner = hold_out(inside, fold_of == fold, own, val, seed)
            shown = f"{name}{candidate.name}, inner fold {fold + 1} of {folds}: "
            parts.append(candidate.fitter.fit(inner, shown, splits=("test",)).predictions)
        scores.append(_score(candidate.name, pd.concat(parts, ignore_index=True), dataset.labels))
    return scores


def best_of(scores: Sequence[InnerScore]) -> int:
    """The place of the highest balanced accuracy; of equal ones that of the lowest log loss, then the first."""
    return min(range(len(scores)), key=lambda place: (-scores[place].balanced_accuracy, scores[place].log_loss, place))


def _score(name: str, predictions: pd.DataFrame, labels: Sequence[str]) -> InnerScore:
    truth = predictions["label"].astype(str)
    present = [label for label in labels if (truth == label).any()]
    scores = predictions[[score_column(label) for label in present]].to_numpy(dtype=np.float64)
    shares = scores / scores.sum(axis=1, keepdims=True)
    accuracy = balanced_accuracy_score(truth, predictions["predicted"].astype(str))
    return InnerScore(name, float(accuracy), float(log_loss(truth, shares, labels=present)))
