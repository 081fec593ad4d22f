"""The main job, end to end, on real digits with real weights."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from sklearn.metrics import classification_report

import finetune
from data_tools import build_evaluation_pipeline, read_image
from finetune.backbones import load_backbone
from finetune.errors import InputError, WeightsError
from recipes import Recipe, load_recipe

SAME_BYTES = (
    *("recipe.yaml", "dataset.csv", "findings.csv", "freeze.json", "predictions.csv"),
    *("report.txt", "report.csv", "report.json", "report.md"),
    *("model/config.json", "model/model.safetensors", "model/README.md"),
)
FILES = {
    *(
        "recipe.yaml",
        "environment.json",
        "pipeline.json",
        "dataset.csv",
        "findings.csv",
        "freeze.json",
        "history.csv",
        "predictions.csv",
    ),
    *(
        "report.txt",
        "report.csv",
        "report.json",
        "report.md",
        "report.html",
        "timings.json",
        "figures",
        "model",
        "checkpoints",
    ),
}


def changed(recipe: Recipe, **sections: dict[str, object]) -> Recipe:
    updates = {name: getattr(recipe, name).model_copy(update=values) for name, values in sections.items()}
    return recipe.model_copy(update=updates)


def without_seconds(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "history.csv").drop(columns="seconds")


@pytest.mark.usefixtures("store")
def test_a_run_leaves_a_whole_folder(digits_folder: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    result = finetune.run(digits_folder, small_recipe, tmp_path / "run")
    folder = tmp_path / "run"
    assert {entry.name for entry in folder.iterdir()} == FILES
    assert result.is_verified
    assert json.loads((folder / "freeze.json").read_text())["verified"] is True
    table = pd.read_csv(folder / "predictions.csv", dtype=str, keep_default_na=False)
    test = table[table["split"] == "test"]
    labels = ["0", "1", "8"]
    expected = classification_report(
        test["label"], test["predicted"], labels=labels, target_names=labels, zero_division=0
    )
    assert (folder / "report.txt").read_text() == expected
    report = json.loads((folder / "report.json").read_text())
    assert report["labels"] == labels
    assert report["thresholds"] is None
    assert report["leakage"] == {"duplicates_across_splits": 0, "groups_across_splits": 0}
    timings = json.loads((folder / "timings.json").read_text())
    assert set(timings) == {"decode", "trunk", "tail", "evaluate", "report", "total", "images", "views", "epochs"}


@pytest.mark.usefixtures("store")
def test_plain_timm_reproduces_the_scores(digits_folder: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    finetune.run(digits_folder, small_recipe, tmp_path / "run")
    model = timm.create_model(f"local-dir:{tmp_path / 'run' / 'model'}", pretrained=True).eval()
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    from PIL import Image

    images = torch.stack([transform(Image.open(digits_folder / path).convert("RGB")) for path in table["path"]])
    with torch.inference_mode():
        scores = model(images).softmax(1).numpy()
    ours = table[["score_0", "score_1", "score_8"]].to_numpy()
    assert np.allclose(scores, ours, rtol=1e-4, atol=1e-7)
    assert (scores.argmax(1) == ours.argmax(1)).all()


def test_workers_and_folders_do_not_change_a_byte(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    for workers in (0, 1, 2):
        monkeypatch.setenv("TAILTUNE_CACHE", str(tmp_path / f"store-{workers}"))
        recipe = changed(small_recipe, data={"workers": workers})
        folders.append(finetune.run(digits_folder, recipe, tmp_path / f"run-{workers}").folder)
    first, *others = folders
    for other in others:
        for name in SAME_BYTES:
            assert (first / name).read_bytes() == (other / name).read_bytes(), name
        assert without_seconds(first).equals(without_seconds(other))


@pytest.mark.usefixtures("store")
def test_the_recipe_of_a_run_repeats_it(digits_folder: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    first = finetune.run(digits_folder, small_recipe, tmp_path / "first").folder
    again = finetune.run(digits_folder, load_recipe(first / "recipe.yaml"), tmp_path / "again").folder
    assert (first / "predictions.csv").read_bytes() == (again / "predictions.csv").read_bytes()


def test_a_second_run_finds_its_features(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, store: Path
) -> None:
    said: list[str] = []
    finetune.run(digits_folder, small_recipe, tmp_path / "first", say=said.append)
    assert not any("found in the store" in sentence for sentence in said)
    longer = changed(small_recipe, train={"epochs": 3})
    watched: list[str] = []

    def track(items, description, total):
        watched.append(description)
        return items

    second = finetune.run(digits_folder, longer, tmp_path / "second", say=said.append, track=track).folder
    assert sum("found in the store" in sentence for sentence in said) == 3
    assert len(list(store.glob("features/*"))) == 3
    timings = json.loads((second / "timings.json").read_text())
    assert timings["decode"] == timings["trunk"] == 0
    assert not any("trunk" in description for description in watched)


@pytest.mark.parametrize("mode", ["fresh", "whole"])
@pytest.mark.parametrize(("start", "epochs"), [("drawn", 2), ("solved", 1)])
@pytest.mark.usefixtures("store")
def test_every_source_feeds_the_same_loop(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, mode: str, start: str, epochs: int
) -> None:
    """After a solved head gradients are small, and AdamW makes steps of their rounding: one epoch is compared."""
    train = {"epochs": epochs, "precision": "fp32"}
    wish: dict[str, dict[str, object]] = {"augment": {"views": 3}, "head": {"start": start}, "train": train}
    stored = changed(small_recipe, cache={"dtype": "fp32", "mode": "stored"}, **wish)
    other = changed(small_recipe, cache={"mode": mode}, **wish)
    expected = without_seconds(finetune.run(digits_folder, stored, tmp_path / "stored").folder)
    found = without_seconds(finetune.run(digits_folder, other, tmp_path / mode).folder)
    assert np.allclose(expected, found, rtol=1e-3, atol=1e-5, equal_nan=True)


@pytest.mark.usefixtures("store")
def test_without_weights_the_norms_of_the_trunk_are_estimated_and_full_has_no_trunk(
    digits_folder: Path, tmp_path: Path
) -> None:
    overrides: dict[str, object] = {
        "model.name": "resnet18", "model.weights": "none", "model.image_size": 32, "train.epochs": 1, "data.workers": 0,
    }  # fmt: skip
    result = finetune.run(digits_folder, load_recipe("first-three", overrides), tmp_path / "three")
    fresh = load_backbone("resnet18", "none", 3).model.state_dict()
    saved = timm.create_model(f"local-dir:{result.folder / 'model'}", pretrained=True).state_dict()
    assert torch.equal(saved["layer1.0.conv1.weight"], fresh["layer1.0.conv1.weight"])
    assert not torch.equal(saved["layer1.0.bn1.running_mean"], fresh["layer1.0.bn1.running_mean"])
    assert result.is_verified
    said: list[str] = []
    full = finetune.run(digits_folder, load_recipe("full", overrides), tmp_path / "full", say=said.append)
    assert any("No trunk" in sentence for sentence in said)
    assert full.is_verified


@pytest.mark.usefixtures("store")
def test_without_a_validation_part_the_last_epoch_is_kept(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    result = finetune.run(digits_folder, changed(small_recipe, data={"val_fraction": 0.0}), tmp_path / "run")
    assert set(pd.read_csv(result.folder / "dataset.csv")["split"]) == {"train", "test"}
    assert set(pd.read_csv(result.folder / "predictions.csv")["split"]) == {"test"}
    assert pd.read_csv(result.folder / "history.csv")["val_balanced_accuracy"].isna().all()


@pytest.mark.usefixtures("store")
def test_the_folder_of_a_run_that_was_refused_at_once_is_used_again(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    wrong = changed(small_recipe, model={"weights": str(tmp_path / "absent.pth")})
    with pytest.raises(WeightsError, match="does not exist"):
        finetune.run(digits_folder, wrong, tmp_path / "run")
    assert finetune.run(digits_folder, small_recipe, tmp_path / "run").is_verified


def test_a_folder_with_another_run_or_other_files_is_not_overwritten(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(InputError, match="--overwrite"):
        finetune.run(digits_folder, small_recipe, tmp_path)
    with pytest.raises(InputError, match="no run"):
        finetune.run(digits_folder, small_recipe, tmp_path, overwrite=True)
    assert (tmp_path / "diary.txt").read_text() == "dear diary"


def test_scores_come_from_the_pixels_that_every_part_sees(digits_folder: Path) -> None:
    path = next(digits_folder.rglob("*.png"))
    backbone = load_backbone("tf_efficientnet_lite0", "embedded", 2)
    pipeline = build_evaluation_pipeline(backbone.preprocessing)
    assert pipeline(read_image(path), 0).shape == (3, 224, 224)
    assert np.array_equal(pipeline(read_image(path), 0), pipeline(read_image(path), 1))
