"""Choose between recipes on inner folds of the training part of a fold; the held-out part never has a say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, log_loss

from data_tools import DataError, Dataset
from data_tools.folds import count_units, cut_folds
from data_tools.holding_out import hold_out, usable_images, without_part
from finetune.evaluation import score_column
from finetune.jobs.candidates import Candidate


@dataclass(frozen=True)
class InnerScore:
    """What a candidate did out of the inner folds: every image once."""

    candidate: str
    balanced_accuracy: float
    log_loss: float


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
