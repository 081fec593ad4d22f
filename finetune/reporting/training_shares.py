"""The class shares that a run's model was trained for, from its recipe and what the run left."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from finetune.evaluation import TrainedFor
from recipes import Recipe


def shares_trained_for(
    recipe: Recipe, dataset: pd.DataFrame | None, history: pd.DataFrame | None, labels: Sequence[str]
) -> TrainedFor | None:
    """Equal shares where rare classes weighed as much as frequent ones, else those of the training images.

    They weigh so by `train.class_balance: loss`, and always in a head that was solved and then final: such a model's
    scores hold for classes that are equally frequent. None where the training images are not known.
    """
    epochs = pd.to_numeric(history["epoch"], errors="coerce") if history is not None and "epoch" in history else None
    is_solved = epochs is not None and len(epochs) > 0 and float(epochs.max()) == 0
    if recipe.train.class_balance == "loss" or is_solved:
        equal = np.full(len(labels), 1 / len(labels))
        return TrainedFor(equal, "equal: in training rare classes weighed as much as frequent ones")
    if dataset is None or not {"label", "split", "status"} <= set(dataset.columns):
        return None
    used = dataset[(dataset["split"] == "train") & (dataset["status"] == "ok")]["label"].astype(str)
    images = np.array([float((used == label).sum()) for label in labels])
    if images.sum() == 0:
        return None
    return TrainedFor(images / images.sum(), "those of the training images, which weighed alike in training")
