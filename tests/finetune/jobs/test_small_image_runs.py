"""Runs with an output stride or a small stem: features of their own, a model judged again, words to the user."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import save_file

import finetune
from data_tools import DatasetSettings
from finetune.freezing import frozen_digest
from finetune.jobs.planning import preview
from finetune.jobs.sources import SourceMaker
from finetune.progress import untracked
from finetune.timing import Stopwatch
from recipes import Recipe, load_recipe

STRIDES: tuple[dict[str, Any], ...] = (
    {},
    {"model.output_stride": 8},
    {"model.stem": "small"},
    {"model.stem": "small", "model.output_stride": 8},
)
QUICK = {"train.epochs": 1, "augment.views": 1, "data.workers": 0, "train.precision": "fp32"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a small ResNet with a deep stem, every tensor of which fits whatever the strides."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), file)
    return str(file)


def recipe_with(weights: str, **settings: Any) -> Recipe:
    fixed = {"model.name": "test_resnet", "model.weights": weights, "model.image_size": 32}
    return load_recipe(None, {**fixed, **QUICK, **settings})


def source_maker(data: Path, recipe: Recipe, told: list[str]) -> tuple[SourceMaker, str]:
    """What makes the features of a run, and the digest of what is frozen."""
    made = preview(data, recipe)
    maker = SourceMaker(made, recipe, Stopwatch(), track=untracked, say=told.append)
    return maker, frozen_digest(made.backbone.model, made.plan)


def test_the_same_frozen_bytes_with_other_strides_share_no_features(
    digits_folder: Path, weights: str, store: Path
) -> None:
    digests, identities, found = set(), [], []
    for strides in (*STRIDES, STRIDES[1]):
        told: list[str] = []
        maker, digest = source_maker(digits_folder, recipe_with(weights, **strides), told)
        maker.parts(("train",), maker.made.cut, digest)
        maker.close()
        digests.add(digest)
        identities.append(maker.identity("train", maker.made.cut, digest))
        found.append(any("found in the store" in note for note in told))
    assert len(digests) == 1
    assert found == [False, False, False, False, True]
    first = identities[0]
    assert first.backbone == "test_resnet"
    alike = {replace(one, cut=first.cut, shapes=first.shapes).key for one in identities}
    assert len(alike) == len(STRIDES)
    assert len(list((store / "features").iterdir())) == len(STRIDES)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("head", "strides"), [("linear", STRIDES[1]), ("multi-stage", STRIDES[3])])
def test_a_run_is_judged_again_to_the_same_scores(
    digits_folder: Path, weights: str, tmp_path: Path, head: str, strides: dict[str, Any]
) -> None:
    run = tmp_path / "run"
    finetune.run(digits_folder, recipe_with(weights, **strides, **{"head.kind": head}), run)
    finetune.evaluate(run, digits_folder, tmp_path / "out", DatasetSettings(allow=("seen_in_training",)), workers=0)
    columns = ["score_0", "score_1", "score_8"]
    own = pd.read_csv(run / "predictions.csv").set_index("path")[columns]
    here = pd.read_csv(tmp_path / "out" / "predictions.csv").set_index("path")[columns].loc[own.index]
    assert float((own - here).abs().to_numpy().max()) <= 1e-6


@pytest.mark.usefixtures("store")
def test_a_run_says_what_became_of_the_stem_and_that_random_weights_are_frozen(
    digits_folder: Path, weights: str
) -> None:
    def told(recipe: Recipe) -> list[str]:
        notes: list[str] = []
        preview(digits_folder, recipe, say=notes.append)
        return notes

    random = told(recipe_with("none", **{"model.stem": "small"}))
    assert any(note.startswith("Small stem: a first convolution of 3x3 pixels with stride 1") for note in random)
    assert any(note.startswith("The weights are random, and so is what first-three freezes") for note in random)
    for settings in ({"model.weights": weights}, {"freeze.policy": "full"}):
        assert not any("weights are random" in note for note in told(recipe_with("none", **settings)))


@pytest.mark.usefixtures("store")
def test_the_recipe_small_images_learns_digits_from_nothing(digits_folder: Path, tmp_path: Path) -> None:
    settings = {"model.name": "test_resnet", "augment.preset": "none", "train.epochs": 12}
    settings |= {"train.batch_size": 8, "data.workers": 0}
    result = finetune.run(digits_folder, load_recipe("small-images", settings), tmp_path / "run")
    value = result.evaluation.overall["balanced_accuracy"].value
    assert value is not None
    assert value > 0.6  # one in three by chance
    assert finetune.load_model(tmp_path / "run" / "model").strides.stem == "small"
