"""What the folds of a cross-validation are told as: tables, one proof, and the images whose labels look wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from data_tools import Dataset
from finetune.evaluation import evaluate_predictions, score_column
from finetune.evaluation.predictions import FOLD, GROUP, LABEL, PATH, REPEAT
from finetune.jobs.fold_fitting import FoldFit
from finetune.jobs.folding import FoldPlace
from finetune.jobs.selecting import InnerScore
from finetune.reporting.tables import FOLD_MEASURES


@dataclass(frozen=True, eq=False)
class FittedFold:
    """One fold with what was fitted on it, what was chosen for it and by which scores."""

    place: FoldPlace
    dataset: Dataset
    fit: FoldFit
    chosen: str
    scores: Sequence[InnerScore] = field(default=())

    def numbered(self, table: pd.DataFrame) -> pd.DataFrame:
        """`table` with the columns `fold` and `repeat` behind its own."""
        return table.assign(**{FOLD: self.place.fold, REPEAT: self.place.repeat})


@dataclass(frozen=True, eq=False)
class FoldTables:
    """All folds together, as the files of a cross-validation hold them."""

    predictions: pd.DataFrame
    history: pd.DataFrame
    folds: pd.DataFrame
    choices: pd.DataFrame
    record: dict[str, object]
    label_issues: pd.DataFrame

    @classmethod
    def of(cls, fitted: Sequence[FittedFold], labels: Sequence[str]) -> "FoldTables":
        """What the folds gave."""
        predictions = join_predictions(fitted)
        return cls(
            predictions=predictions,
            history=pd.concat([one.numbered(one.fit.history) for one in fitted], ignore_index=True),
            folds=tabulate_folds(fitted),
            choices=tabulate_choices(fitted),
            record=join_records(fitted),
            label_issues=rank_labels(predictions[predictions["split"] == "test"], labels),
        )


def tabulate_folds(fitted: Sequence[FittedFold]) -> pd.DataFrame:
    """One row a fold: images of each part, groups held out, the recipe chosen, and measures on what was held out."""
    rows = []
    for one in fitted:
        parts = {split: len(one.dataset.part(split)) for split in ("train", "val", "test")}
        evaluation = evaluate_predictions(one.fit.predictions, one.dataset.labels)
        measures = {name: evaluation.overall[name].value for name in FOLD_MEASURES}
        numbers = {REPEAT: one.place.repeat, FOLD: one.place.fold, **parts, "groups": evaluation.groups}
        rows.append({**numbers, "epochs": one.fit.epochs, "chosen": one.chosen, **measures})
    return pd.DataFrame(rows)


def tabulate_choices(fitted: Sequence[FittedFold]) -> pd.DataFrame:
    """One row a fold and candidate: what it did out of the inner folds, and whether it was chosen."""
    rows = [
        {
            REPEAT: one.place.repeat,
            FOLD: one.place.fold,
            "candidate": score.candidate,
            "balanced_accuracy": score.balanced_accuracy,
            "log_loss": score.log_loss,
            "is_chosen": score.candidate == one.chosen,
        }
        for one in fitted
        for score in one.scores
    ]
    return pd.DataFrame(rows)


def join_records(fitted: Sequence[FittedFold]) -> dict[str, object]:
    """The record of the first fold's freezing, with the proof of every fold; verified only if all are."""
    keys = ("policy", "frozen_sha256_before", "frozen_sha256_after", "verified")
    proofs = [
        {REPEAT: one.place.repeat, FOLD: one.place.fold, **{key: one.fit.record[key] for key in keys}} for one in fitted
    ]
    return {**fitted[0].fit.record, "folds": proofs, "verified": all(proof["verified"] for proof in proofs)}


def rank_labels(predictions: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The images by how little a model that had not seen them believes in their label, the least first.

    `confidence` is the score of the label, `suggested` the class with the highest one; both scores are means over
    repeats. Ranking by self-confidence: Northcutt et al. 2021, Confident Learning.
    """
    columns = [score_column(label) for label in labels]
    named = predictions.groupby(PATH, sort=True)
    scores = named[columns].mean()
    images = named[[LABEL, GROUP]].first()
    own = pd.Index(labels).get_indexer(pd.Index(images[LABEL]))
    table = images.assign(
        confidence=scores.to_numpy()[np.arange(len(own)), own],
        suggested=[labels[place] for place in scores.to_numpy().argmax(axis=1)],
        suggested_score=scores.max(axis=1),
    )
    return table.reset_index().sort_values(["confidence", PATH], kind="stable").reset_index(drop=True)


def join_predictions(fitted: Sequence[FittedFold]) -> pd.DataFrame:
    """Scores of every image by models that had not seen it; columns `fold` and `repeat` are the last."""
    return pd.concat([one.numbered(one.fit.predictions) for one in fitted], ignore_index=True)
