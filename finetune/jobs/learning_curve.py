"""Would more images help? Each fold trained on an eighth, a quarter, a half and all of its images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from data_tools import Dataset
from data_tools.holding_out import halve_training, usable_images
from finetune.evaluation import evaluate_predictions
from finetune.evaluation.comparing import compare_predictions
from finetune.evaluation.result import undefined
from finetune.jobs.fold_fitting import FoldFitter
from finetune.jobs.fold_table import FittedFold
from finetune.jobs.folding import FoldCut
from finetune.reporting.comparison import MEASURES
from finetune.reporting.tables import with_bounds

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)


def fit_smaller(fitter: FoldFitter, cut: FoldCut, fold: FittedFold, labels: Sequence[str]) -> list[pd.DataFrame]:
    """Predictions of the fold's held-out images by networks of ever fewer training images, rising in `SHARES`.

    Each half lies within the one before. A share at which some class would have less than two images is left out.
    """
    dataset, made = fold.dataset, list[pd.DataFrame]()
    for share in reversed(SHARES[:-1]):
        units = _units_of(dataset, cut)
        dataset = halve_training(dataset, units, cut.seed)
        if dataset.part("train")["label"].value_counts().reindex(list(labels), fill_value=0).min() < 2:
            break
        fit = fitter.fit(dataset, f"{cut.name(fold.place)}1/{round(1 / share)} of the images: ", splits=("test",))
        made.append(fold.numbered(fit.predictions).assign(share=share, train=len(dataset.part("train"))))
    whole = fold.fit.predictions[fold.fit.predictions["split"] == "test"]
    return [*reversed(made), fold.numbered(whole).assign(share=1.0, train=len(fold.dataset.part("train")))]


def _units_of(dataset: Dataset, cut: FoldCut) -> list[int]:
    """The units of the images that are left."""
    unit_of = dict(zip(usable_images(cut.dataset)["path"], cut.units, strict=True))
    return [unit_of[path] for path in usable_images(dataset)["path"]]


def tabulate_curve(predictions: pd.DataFrame, labels: Sequence[str], confidence: float) -> pd.DataFrame:
    """One row a share that every fold has: training images on average, measures with bounds, and what all of the images
    have before it, on the same held-out images."""
    folds = predictions.groupby("share")["fold"].nunique()
    shares = [float(str(share)) for share, count in folds.items() if count == folds.max()]
    whole = predictions[predictions["share"] == 1.0]
    rows = []
    for share in shares:
        own = predictions[predictions["share"] == share]
        evaluation = evaluate_predictions(own, labels, confidence=confidence)
        gain = undefined("nothing comes after it")
        if share < 1:
            gain = compare_predictions(whole, own, labels, confidence=confidence).differences["balanced_accuracy"]
        numbers: dict[str, float | None] = {
            "share": share,
            "images": float(np.mean(own.groupby("fold")["train"].first())),
        }
        for name in MEASURES:
            numbers |= with_bounds(name, evaluation.overall[name])
        rows.append(numbers | with_bounds("gain", gain))
    return pd.DataFrame(rows)
