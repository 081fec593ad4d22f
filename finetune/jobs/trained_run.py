"""A finished run as a later job needs it: its network, its classes, its data and its own test part."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data_tools import Scaling
from finetune.backbones import Backbone
from finetune.errors import InputError
from finetune.evaluation import Evaluation, evaluate_predictions, read_predictions
from finetune.heads import load_model, saved_labels
from finetune.jobs.folder import RUN_MARK
from finetune.reporting.rebuilding import read_scaling
from finetune.reporting.run_files import read_json, read_table
from recipes import Recipe, load_recipe

_NEEDED = ("dataset.csv", "environment.json", "predictions.csv", "model/config.json", "model/model.safetensors")


@dataclass(frozen=True)
class TrainedRun:
    """What a run has left behind; `images` are its usable images, with the columns of dataset.csv as text."""

    folder: Path
    recipe: Recipe
    backbone: Backbone
    labels: tuple[str, ...]
    scaling: Scaling
    images: pd.DataFrame
    own: Evaluation
    """Of its own test part."""


def read_run(folder: Path) -> TrainedRun:
    """Read a run that is finished.

    Raises InputError where `folder` holds none, WeightsError for a model that is missing or broken.
    """
    if not (folder / RUN_MARK).is_file():
        raise InputError(f"{folder} holds no run (no {RUN_MARK}); give the folder that `finetune run` wrote.")
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; the run is not finished "
            "or was changed. Go on with it (finetune run ... --resume), or give another one."
        )
    recipe, model = load_recipe(folder / RUN_MARK), folder / "model"
    labels, backbone = saved_labels(model), load_model(model)
    classes = getattr(backbone.plain or backbone.model, "num_classes", len(labels))
    if classes != len(labels):
        raise InputError(
            f"{model}: config.json names {len(labels)} classes and the network {classes}; the run is damaged."
        )
    environment, table = read_json(folder / "environment.json") or {}, read_table(folder / "dataset.csv")
    if table is None or not {"status", "split", "sha256", "path"} <= set(table.columns):
        raise InputError(f"{folder / 'dataset.csv'} lacks path, split, status or sha256; the run is damaged.")
    predictions = read_predictions(folder / "predictions.csv")
    own = evaluate_predictions(predictions, labels, confidence=recipe.evaluate.confidence)
    return TrainedRun(folder, recipe, backbone, labels, read_scaling(environment), table[table["status"] == "ok"], own)
