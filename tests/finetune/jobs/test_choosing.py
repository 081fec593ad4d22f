"""Runs with a head that looks at every stage, and runs that choose."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import finetune
from data_tools import build_evaluation_pipeline, read_image
from finetune.backbones import load_backbone
from finetune.cli.main import main
from finetune.errors import FreezeError
from finetune.interrupts import Interrupted
from finetune.jobs.forecasting import forecast_run
from finetune.jobs.heads import give_head
from recipes import Recipe
from tests.finetune.jobs.stopping import StopAt

SAME_BYTES = (
    *("dataset.csv", "findings.csv", "freeze.json", "predictions.csv", "report.json"),
    *("model/config.json", "model/model.safetensors"),
)


def changed(recipe: Recipe, **sections: dict[str, object]) -> Recipe:
    held = recipe.model_dump()
    return Recipe.model_validate({**held, **{name: {**held[name], **wish} for name, wish in sections.items()}})


@pytest.fixture
def every_stage(small_recipe: Recipe) -> Recipe:
    return changed(small_recipe, head={"kind": "multi-stage"})


def without_seconds(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "history.csv").drop(columns="seconds")


def assert_same(one: Path, other: Path) -> None:
    for name in SAME_BYTES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert without_seconds(one).equals(without_seconds(other))


@pytest.mark.usefixtures("store")
def test_the_saved_model_reproduces_the_scores(digits_folder: Path, every_stage: Recipe, tmp_path: Path) -> None:
    said: list[str] = []
    result = finetune.run(digits_folder, every_stage, tmp_path / "run", say=said.append)
    assert "The head looks at every stage: plain timm cannot load model/, finetune.load_model can." in said
    assert result.is_verified
    record = json.loads((result.folder / "freeze.json").read_text())
    assert record["head"] == "multi-stage"
    assert [row["shape"] for row in record["cut"]] == [[112, 4, 4], [48], [80]]
    loaded = finetune.load_model(result.folder / "model")
    pipeline = build_evaluation_pipeline(loaded.preprocessing)
    table = pd.read_csv(result.folder / "predictions.csv")
    images = torch.stack([torch.from_numpy(pipeline(read_image(digits_folder / path), 0)) for path in table["path"]])
    with torch.inference_mode():
        scores = loaded.model(images).softmax(1).numpy()
    assert np.allclose(scores, table[["score_0", "score_1", "score_8"]].to_numpy(), rtol=1e-4, atol=1e-7)


def test_workers_and_folders_do_not_change_a_byte(
    digits_folder: Path, every_stage: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    for workers in (0, 2):
        monkeypatch.setenv("TAILTUNE_CACHE", str(tmp_path / f"store-{workers}"))
        recipe = changed(every_stage, data={"workers": workers})
        folders.append(finetune.run(digits_folder, recipe, tmp_path / f"run-{workers}").folder)
    assert_same(*folders)


@pytest.mark.parametrize("mode", ["fresh", "whole"])
@pytest.mark.usefixtures("store")
def test_every_source_feeds_the_same_loop(digits_folder: Path, every_stage: Recipe, tmp_path: Path, mode: str) -> None:
    gentle = {"learning_rate": 1e-5, "precision": "fp32"}  # or there is more of a difference in the last bits
    stored = changed(
        every_stage,
        cache={"dtype": "fp32", "mode": "stored"},
        augment={"views": 1, "preset": "none"},
        train=gentle,
    )
    other = changed(stored, cache={"mode": mode})
    expected = without_seconds(finetune.run(digits_folder, stored, tmp_path / "stored").folder)
    found = without_seconds(finetune.run(digits_folder, other, tmp_path / mode).folder)
    assert np.allclose(expected, found, rtol=1e-3, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("kind", ["multi-stage", "auto"])
@pytest.mark.usefixtures("store")
def test_a_gradual_run_that_is_stopped_and_resumed_ends_in_the_same_bytes(
    digits_folder: Path, every_stage: Recipe, tmp_path: Path, kind: str
) -> None:
    recipe = changed(
        every_stage,
        head={"kind": kind, "dropout": 0.3},
        freeze={"policy": "gradual"},
        train={"epochs": 3, "average_decay": 0.9, "patience": None},
    )
    whole = finetune.run(digits_folder, recipe, tmp_path / "whole").folder
    counter = StopAt(10**9)  # with the features in the store, as they will be
    finetune.run(digits_folder, recipe, tmp_path / "counted", stop=counter)
    for share in (0.5, 0.85):
        out = tmp_path / f"stopped-{share}"
        with pytest.raises(Interrupted):
            finetune.run(digits_folder, recipe, out, stop=StopAt(int(share * counter.looks)))
        finetune.run(digits_folder, recipe, out, resume=True)
        assert_same(whole, out)
    assert json.loads((whole / "freeze.json").read_text())["verified"]


@pytest.fixture
def few_images(digits_folder: Path, tmp_path: Path) -> Path:
    """The digits, with two images of all classes but one: one each to train on, which is too few for folds."""
    folder = tmp_path / "few"
    for label, count in (("0", 16), ("1", 2), ("8", 2)):
        (folder / label).mkdir(parents=True)
        for file in sorted((digits_folder / label).iterdir())[:count]:
            shutil.copy(file, folder / label)
    return folder


@pytest.mark.parametrize("policy", ["first-three", "head-only"])
@pytest.mark.parametrize("kind", ["multi-stage", "linear"])
def test_auto_is_the_run_of_the_head_that_it_names_and_runs_the_trunk_once(
    digits_folder: Path, few_images: Path, small_recipe: Recipe, tmp_path: Path, store: Path, policy: str, kind: str
) -> None:
    said: list[str] = []
    data = digits_folder if kind == "multi-stage" else few_images
    auto = changed(small_recipe, head={"kind": "auto"}, freeze={"policy": policy})
    chosen = finetune.run(data, auto, tmp_path / "auto", say=said.append).folder
    assert any(sentence.startswith(f"Head: {kind}; ") for sentence in said), said
    assert len(list(store.glob("features/*"))) == len(set(pd.read_csv(chosen / "dataset.csv")["split"]))
    named = finetune.run(data, changed(auto, head={"kind": kind}), tmp_path / "named").folder
    assert json.loads((chosen / "freeze.json").read_text())["head"] == kind
    assert_same(chosen, named)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("head", [{"kind": "auto"}, {"kind": "multi-stage"}])
def test_random_weights_have_nothing_to_choose_by_but_can_train_either_head(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, head: dict[str, object]
) -> None:
    said: list[str] = []
    recipe = changed(small_recipe, model={"name": "test_resnet", "weights": "none"}, head=head)
    result = finetune.run(digits_folder, recipe, tmp_path / "run", say=said.append)
    assert result.is_verified
    expected = "linear" if head["kind"] == "auto" else "multi-stage"
    assert json.loads((result.folder / "freeze.json").read_text())["head"] == expected
    assert ("Head: linear; with random weights there is nothing to compare heads by." in said) == (expected == "linear")


def test_what_cannot_be_traced_is_refused_for_multi_stage_and_left_linear_for_auto(small_recipe: Recipe) -> None:
    backbone = replace(load_backbone("resnet18", "none", 3, image_size=32), is_pretrained=True)
    backbone.model.layer2.append(LooksAtItsValues())
    said: list[str] = []
    with pytest.raises(FreezeError, match="resnet18 cannot have a multi-stage head: its graph cannot be traced"):
        give_head(backbone, changed(small_recipe, head={"kind": "multi-stage"}), 3, said.append)
    assert not said
    assert give_head(backbone, changed(small_recipe, head={"kind": "auto"}), 3, said.append) is backbone
    assert said[0].startswith("Head: linear; resnet18 cannot have a multi-stage head: its graph cannot be traced")


class LooksAtItsValues(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values if values.sum() > 0 else -values


@pytest.mark.parametrize("kind", ["multi-stage", "auto"])
def test_a_plan_shows_the_larger_head_and_what_crosses(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    def planned(*more: str) -> str:
        with pytest.raises(SystemExit):
            main(["plan", "resnet18", "--classes", "3", *more])
        return capsys.readouterr().out

    wish = ("--set", f"head.kind={kind}")
    table, plain = json.loads(planned(*wish, "--json")), json.loads(planned("--json"))
    assert (table["head"], plain["head"]) == (kind, "linear")
    assert table["cut"][0] == plain["cut"][0]
    assert [(row["module"], row["stage"], row["shape"], row["bytes"]) for row in table["cut"][1:]] == [
        ("multi_stage_pool.stage1", "stage1", [128], 256),
        ("multi_stage_pool.stage2", "stage2", [256], 512),
    ]
    rows, others = ({row["name"]: row for row in one["stages"]} for one in (table, plain))
    assert rows["head"]["modules"] == ["multi_stage_head"]
    assert (rows["head"]["parameters"], rows["head"]["macs"]) == (3 * 1920 + 3, 3 * 1920)
    assert all(rows[stage] == others[stage] for stage in rows.keys() - {"head"})
    sentence = "plain timm will not load the model" if kind == "multi-stage" else "chooses its head by cross-validation"
    assert sentence in planned(*wish)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("kind", ["multi-stage", "auto"])
def test_a_forecast_knows_what_is_stored(digits_folder: Path, every_stage: Recipe, kind: str) -> None:
    _, forecast = forecast_run(digits_folder, changed(every_stage, head={"kind": kind}))
    train = next(row for row in forecast.store if row["split"] == "train")
    assert train["bytes"] == 2 * train["images"] * train["views"] * (112 * 4 * 4 + 48 + 80)
    assert forecast.seconds["tail"] > 0
