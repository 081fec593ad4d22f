"""Pictures of heat maps by path and class, of a network in memory and of a saved one."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import finetune
from data_tools import Scaling, build_evaluation_pipeline, evaluation_geometry, read_image
from finetune.backbones import Backbone, load_backbone
from finetune.evaluation import Evaluation
from finetune.explaining import explain_image, explain_saved, explain_with, overlay
from finetune.explaining.pictures import view_reader
from finetune.exporting import save_model_folder
from finetune.heads import add_multi_stage_head
from finetune.heads.multi_stage import HEAD
from finetune.reporting import ReportContext, rebuild_report, write_report
from finetune.reporting.rebuilding import read_context
from recipes import Recipe

LABELS = ("ants", "bees")


@pytest.fixture(scope="module", params=["linear", "multi-stage"])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    made = load_backbone("tf_efficientnet_lite0", "embedded", 2, image_size=96)
    if request.param == "multi-stage":
        made = add_multi_stage_head(made, 2)
    with torch.no_grad():
        weight = next(
            p for name, p in made.model.named_parameters() if name in ("classifier.weight", f"{HEAD}.fc.weight")
        )
        weight.abs_()  # so that something speaks for a class
    return made


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0).integers(0, 256, (90, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "wide.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def test_a_saved_network_draws_the_same_pictures(backbone: Backbone, images: Path, tmp_path: Path) -> None:
    draw = explain_with(backbone, LABELS, view_reader(images, Scaling(), backbone.preprocessing))
    pictures = [draw("wide.png", label) for label in LABELS]
    save_model_folder(backbone, LABELS, tmp_path / "model")
    saved = explain_saved(tmp_path / "model", images, Scaling())
    for label, picture in zip(LABELS, pictures, strict=True):
        again = saved("wide.png", label)
        assert picture is not None
        assert again is not None
        assert np.abs(again.astype(int) - picture).max() <= 1
        assert picture.shape == (220, 220, 3)
        assert picture.dtype == np.uint8


def test_the_picture_is_what_the_network_was_shown(backbone: Backbone, images: Path) -> None:
    preprocessing = backbone.preprocessing
    draw = explain_with(backbone, LABELS, view_reader(images, Scaling(), preprocessing))
    picture = draw("wide.png", "bees")
    view = evaluation_geometry(preprocessing)(read_image(images / "wide.png"))
    shown = np.asarray(Image.fromarray(view).resize((220, 220), Image.Resampling.BICUBIC))
    image = build_evaluation_pipeline(preprocessing)(read_image(images / "wide.png"), 0)
    heat = explain_image(backbone, torch.from_numpy(image), 1)
    assert not isinstance(heat, str)
    assert np.array_equal(picture, overlay(shown, heat))
    assert not np.array_equal(picture, shown)


@pytest.mark.parametrize(("path", "label"), [("absent.png", "ants"), ("broken.png", "ants"), ("wide.png", "wasps")])
def test_what_cannot_be_had_is_none(backbone: Backbone, images: Path, path: str, label: str) -> None:
    draw = explain_with(backbone, LABELS, view_reader(images, Scaling(), backbone.preprocessing))
    assert draw(path, label) is None


@pytest.mark.parametrize("damage", ["absent", "no config", "torn weights"])
def test_a_damaged_model_draws_nothing(images: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    if damage != "absent":
        save_model_folder(load_backbone("resnet18", "none", 2, image_size=64), LABELS, folder)
    if damage == "no config":
        (folder / "config.json").unlink()
    if damage == "torn weights":
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    assert explain_saved(folder, images, Scaling())("wide.png", "ants") is None


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("head", ["linear", "multi-stage"])
def test_a_rebuilt_report_has_the_pictures_of_its_run(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    contexts: list[ReportContext] = []

    def keep(folder: Path, predictions: pd.DataFrame, context: ReportContext) -> Evaluation:
        contexts.append(context)
        return write_report(folder, predictions, context)

    monkeypatch.setattr("finetune.jobs.run.write_report", keep)
    recipe = small_recipe.model_copy(update={"head": small_recipe.head.model_copy(update={"kind": head})})
    folder = finetune.run(digits_folder, recipe, tmp_path / "run").folder
    before = {name: (folder / name).read_bytes() for name in ("report.txt", "report.csv", "report.json")}
    rebuilt = read_context(folder).explain
    table = pd.read_csv(folder / "predictions.csv", dtype={"label": str, "predicted": str})
    drawn = 0
    for row in table.head(6).itertuples():
        for label in ("0", "1", "8"):
            pictures = [explain(row.path, label) for explain in (contexts[0].explain, rebuilt) if explain is not None]
            assert len(pictures) == 2
            assert (pictures[0] is None) == (pictures[1] is None)
            if pictures[0] is not None:
                drawn += 1
                assert np.abs(pictures[0].astype(int) - pictures[1]).max() <= 1
    assert drawn >= 6
    rebuild_report(folder)
    assert before == {name: (folder / name).read_bytes() for name in before}


def test_a_run_without_a_model_or_images_is_rebuilt_without_pictures(images: Path, tmp_path: Path) -> None:
    assert read_context(tmp_path).explain is None
    (tmp_path / "environment.json").write_text(json.dumps({"data": str(images)}))
    assert read_context(tmp_path).explain is None
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    explain = read_context(tmp_path).explain
    assert explain is not None
    assert explain("wide.png", "ants") is None
