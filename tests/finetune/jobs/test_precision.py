"""Whole runs in fp64 and fp16."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from torch.nn import functional

import finetune
from data_tools import build_evaluation_pipeline, read_image
from finetune.backbones import load_backbone
from finetune.features import FeatureSource
from finetune.freezing import frozen_digest
from finetune.interrupts import Interrupted
from finetune.jobs.plan_table import describe_plan
from finetune.jobs.planning import preview
from finetune.jobs.sources import SourceMaker
from finetune.progress import silent, untracked
from finetune.timing import Stopwatch
from recipes import Recipe
from tests.finetune.jobs.stopping import StopAt

ONE_STEP: dict[str, dict[str, object]] = {
    "train": {"epochs": 1, "batch_size": 64, "warmup_epochs": 0.0, "average_decay": None, "optimizer": "sgd"}
    | {"learning_rate": 0.1, "head_factor": 1.0, "decay_norm": True, "class_balance": "none", "label_smoothing": 0.0},
    "head": {"start": "drawn"},
    "augment": {"preset": "none"},
    "data": {"val_fraction": 0.0},
}


def changed(recipe: Recipe, **sections: dict[str, object]) -> Recipe:
    held = recipe.model_dump()
    return Recipe.model_validate({**held, **{name: {**held[name], **wish} for name, wish in sections.items()}})


def scores_by_hand(folder: Path, table: pd.DataFrame, recipe: Recipe, dtype: torch.dtype) -> np.ndarray:
    """Softmax of the test images after one step of plain SGD on all training images, no part of it run twice."""
    backbone = load_backbone(recipe.model.name, recipe.model.weights, 3, image_size=recipe.model.image_size)
    model, look = backbone.model.to(dtype).eval(), build_evaluation_pipeline(backbone.preprocessing)

    def part(split: str) -> tuple[torch.Tensor, torch.Tensor]:
        rows = table[table["split"] == split]
        images = np.stack([look(read_image(folder / path), 0) for path in rows["path"]])
        return torch.from_numpy(images).to(dtype), torch.tensor([(0, 1, 8).index(label) for label in rows["label"]])

    learning = [
        held for name, held in model.named_parameters() if backbone.stages.parameters[name] in ("stage4", "head")
    ]
    optimizer = torch.optim.SGD(learning, lr=0.1, momentum=0.9, weight_decay=recipe.train.weight_decay)
    images, targets = part("train")
    functional.cross_entropy(model(images), targets).backward()
    optimizer.step()
    with torch.no_grad():
        return model(part("test")[0]).double().softmax(1).numpy()


def test_a_run_in_fp64_is_accurate_to_float64_from_trunk_to_scores(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, store: Path
) -> None:
    recipe = changed(changed(small_recipe, **ONE_STEP), train={"precision": "fp64"})
    told: list[str] = []
    folder = finetune.run(digits_folder, recipe, tmp_path / "run", say=told.append).folder
    assert any("computed in fp64" in sentence and "slow" in sentence for sentence in told)
    table = pd.read_csv(folder / "predictions.csv")
    found = table[["score_0", "score_1", "score_8"]].to_numpy()
    dataset = pd.read_csv(folder / "dataset.csv")
    expected = scores_by_hand(digits_folder, dataset, recipe, torch.float64)
    assert np.allclose(found, expected, rtol=1e-12, atol=0)
    single = scores_by_hand(digits_folder, dataset, recipe, torch.float32)
    assert not np.allclose(found, single, rtol=1e-9, atol=0), "else float32 would have done"
    about = [json.loads(file.read_text()) for file in store.glob("features/*/*.json") if not file.stem.isdigit()]
    assert {entry["dtype"] for entry in about if "dtype" in entry} == {"float64"}
    saved = timm.create_model(f"local-dir:{folder / 'model'}", pretrained=True)
    assert next(saved.parameters()).dtype == torch.float32


def sources(data: Path, recipe: Recipe) -> dict[str, FeatureSource]:
    made = preview(data, recipe)
    maker = SourceMaker(made, recipe, Stopwatch(), track=untracked, say=silent)
    maker.settle()
    return maker.parts(("train", "val"), made.cut, frozen_digest(made.backbone.model, made.plan))


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("mode", ["stored", "fresh", "whole"])
@pytest.mark.parametrize(("precision", "dtype"), [("fp64", torch.float64), ("fp16", torch.float32)])
def test_every_source_gives_the_type_that_the_tail_computes_in(
    digits_folder: Path, small_recipe: Recipe, mode: str, precision: str, dtype: torch.dtype
) -> None:
    recipe = changed(small_recipe, train={"precision": precision}, cache={"mode": mode}, augment={"views": 2})
    for source in sources(digits_folder, recipe).values():
        (features, _) = next(source.batches(range(4), [1] * 4, 4))
        assert {feature.dtype for feature in features} == {dtype}


@pytest.mark.usefixtures("store")
def test_a_run_of_sgd_in_fp16_is_resumed_to_the_same_bytes(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    train = {"precision": "fp16", "optimizer": "sgd", "learning_rate": 0.01, "anneal": "epoch", "patience": None}
    recipe = changed(small_recipe, train=train, head={"start": "drawn"})
    counter, told = StopAt(10**9), list[str]()
    whole = finetune.run(digits_folder, recipe, tmp_path / "whole", stop=counter, say=told.append).folder
    assert "Training views are computed in fp16, as the recipe says; scores in fp32." in told
    history = pd.read_csv(whole / "history.csv")
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    with pytest.raises(Interrupted):
        finetune.run(digits_folder, recipe, tmp_path / "parts", stop=StopAt(int(0.8 * counter.looks)))
    told.clear()
    parts = finetune.run(digits_folder, recipe, tmp_path / "parts", resume=True, say=told.append).folder
    assert any(sentence.startswith("Resumed after") for sentence in told)
    for name in ("predictions.csv", "model/model.safetensors", "freeze.json", "recipe.yaml"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name


def test_a_plan_of_a_network_in_fp64_tells_the_same_outputs(digits_folder: Path, small_recipe: Recipe) -> None:
    plans = [
        describe_plan(preview(digits_folder, changed(small_recipe, train={"precision": precision})), small_recipe)
        for precision in ("fp32", "fp64")
    ]
    assert plans[0]["stages"] == plans[1]["stages"]
