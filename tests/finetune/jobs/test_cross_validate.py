"""Cross-validation, end to end: honest folds over features that are made once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from numpy.typing import NDArray
from PIL import Image

import finetune
from data_tools import Dataset
from data_tools.errors import DataError
from finetune import Folding
from finetune.cli.main import main
from finetune.errors import InputError
from finetune.explaining import Explain
from finetune.jobs import sources
from finetune.jobs.fold_fitting import FoldFit, FoldFitter
from finetune.reporting import rebuild_report
from recipes import Recipe, change_recipe

LABELS = ["0", "1", "8"]
SCORES = [f"score_{label}" for label in LABELS]
FILES = {
    *("recipe.yaml", "environment.json", "pipeline.json", "dataset.csv", "findings.csv", "freeze.json", "history.csv"),
    *(
        "folds.csv",
        "label_issues.csv",
        "predictions.csv",
        "report.txt",
        "report.csv",
        "report.json",
        "report.html",
        "report.md",
    ),
    *("timings.json", "figures", "heatmaps", "checkpoints"),
}


def read(folder: Path, name: str = "predictions.csv") -> pd.DataFrame:
    text = dict.fromkeys(("path", "label", "group", "split", "predicted"), str)
    return pd.read_csv(folder / name, dtype=text, keep_default_na=False, na_values={"roc_auc": ""})


@pytest.fixture(scope="module")
def validated(digits_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folds, twice over."""
    recipe = change_recipe(
        Recipe(),
        {
            "model.name": "tf_efficientnet_lite0",
            "model.weights": "embedded",
            "model.image_size": 64,
            "train.epochs": 2,
            "data.workers": 0,
        },
    )
    out = tmp_path_factory.mktemp("cv") / "out"
    result = finetune.cross_validate(digits_folder, recipe, out, folding=Folding(folds=3, repeats=2))
    assert result.is_verified
    return out


def test_every_image_is_held_out_once_in_each_repeat(validated: Path) -> None:
    assert {entry.name for entry in validated.iterdir()} == FILES
    table = read(validated)
    held_out = table[table["split"] == "test"]
    assert (held_out.groupby("path")["repeat"].agg(sorted) == pd.Series([[1, 2]] * 48).to_numpy()).all()
    assert set(held_out["fold"]) == {1, 2, 3}
    first, second = (held_out[held_out["repeat"] == repeat].set_index("path")["fold"] for repeat in (1, 2))
    assert (first != second[first.index]).any()
    assert np.allclose(table[SCORES].sum(axis=1), 1)
    assert (table["predicted"].to_numpy() == np.array(LABELS)[table[SCORES].to_numpy().argmax(axis=1)]).all()


def test_the_tables_of_folds_add_up(validated: Path) -> None:
    folds, report = read(validated, "folds.csv"), json.loads((validated / "report.json").read_text())
    assert len(folds) == 6
    assert (folds[["train", "val", "test"]].sum(axis=1) == 48).all()
    assert folds.groupby("repeat")["test"].sum().tolist() == [48, 48]
    held_out = read(validated).query("split == 'test'")
    accuracy = [(rows["label"] == rows["predicted"]).mean() for _, rows in held_out.groupby(["repeat", "fold"])]
    assert folds["accuracy"].tolist() == pytest.approx(accuracy)
    assert report["leakage"] == {"duplicates_across_splits": 0, "groups_across_splits": 0}
    freeze = json.loads((validated / "freeze.json").read_text())
    assert freeze["verified"]
    assert len(freeze["folds"]) == 6
    assert len({proof["frozen_sha256_after"] for proof in freeze["folds"]}) == 1


def test_a_rebuilt_report_has_the_same_bytes(validated: Path) -> None:
    names = ("report.txt", "report.csv", "report.json", "report.md", "report.html")
    before = {name: (validated / name).read_bytes() for name in names}
    rebuild_report(validated)
    assert {name: (validated / name).read_bytes() for name in names} == before


def test_label_issues_begin_with_the_least_believed_label(validated: Path) -> None:
    issues = read(validated, "label_issues.csv")
    held_out = read(validated).query("split == 'test'")
    assert len(issues) == 48
    assert issues["confidence"].is_monotonic_increasing
    worst = issues.iloc[0]
    own = held_out.loc[held_out["path"] == worst["path"], f"score_{worst['label']}"]
    assert worst["confidence"] == pytest.approx(own.mean())


@pytest.mark.parametrize(
    "overrides",
    [{}, {"freeze.norm": "adapt"}, {"data.scaling": "percentiles"}, {"freeze.policy": "full", "train.epochs": 1}],
)
@pytest.mark.usefixtures("store")
def test_a_fold_is_the_run_with_its_splits(
    overrides: dict[str, object], digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    """Also where something is fitted on images, which then must be those of the fold alone."""
    data = deep_digits(digits_folder, tmp_path / "deep") if "data.scaling" in overrides else digits_folder
    recipe = change_recipe(small_recipe, overrides)
    finetune.cross_validate(data, recipe, tmp_path / "cv", folding=Folding(folds=2))
    table = read(tmp_path / "cv").query("repeat == 1 and fold == 2").drop(columns=["fold", "repeat"])
    images = read(tmp_path / "cv", "dataset.csv")
    splits = images[["path"]].merge(table[["path", "split"]], how="left").fillna("train")
    splits.to_csv(tmp_path / "splits.csv", index=False)
    plain = change_recipe(recipe, {"data.splits": str(tmp_path / "splits.csv")})
    finetune.run(data, plain, tmp_path / "run")
    expected = read(tmp_path / "run").set_index("path").sort_index()
    ours = table.set_index("path").sort_index()
    assert (ours["split"] == expected["split"]).all()
    assert np.abs(ours[SCORES].to_numpy() - expected[SCORES].to_numpy()).max() < 2e-3  # other batches in the trunk


def deep_digits(folder: Path, out: Path) -> Path:
    """The same pictures in 16 bits, those of one class much brighter."""
    for path in sorted(folder.rglob("*.png")):
        values = np.asarray(Image.open(path)).astype(np.uint16) * (200 if path.parent.name == "8" else 20)
        (out / path.parent.name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(out / path.parent.name / path.name)
    return out


@pytest.mark.usefixtures("store")
def test_the_trunk_runs_once_for_all_folds(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    run_trunk = sources.run_trunk

    def counted(trunk, images, *args, **kwargs):  # type: ignore[no-untyped-def]
        seen.append(len(images) * len(images.views))
        return run_trunk(trunk, images, *args, **kwargs)

    monkeypatch.setattr(sources, "run_trunk", counted)
    finetune.cross_validate(digits_folder, small_recipe, tmp_path / "cv", folding=Folding(folds=4))
    assert sorted(seen) == [48, 48 * small_recipe.augment.views]


@pytest.mark.usefixtures("store")
def test_two_cross_validations_give_the_same_bytes(digits_folder: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    for name in ("one", "other"):
        finetune.cross_validate(digits_folder, small_recipe, tmp_path / name, folding=Folding(folds=2))
    names = ("predictions.csv", "folds.csv", "freeze.json", "label_issues.csv", "report.json", "findings.csv")
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name


@pytest.mark.usefixtures("store")
def test_the_final_model_is_trained_on_all_images(digits_folder: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    finetune.cross_validate(digits_folder, small_recipe, tmp_path / "cv", folding=Folding(folds=2, keeps_final=True))
    model = timm.create_model(f"local-dir:{tmp_path / 'cv' / 'model'}", pretrained=True).eval()
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


@pytest.mark.usefixtures("store")
def test_groups_are_never_parted(digits_folder: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    recipe = change_recipe(small_recipe, {"data.group": r"(\d)\.png$", "freeze.policy": "head-only"})
    finetune.cross_validate(digits_folder, recipe, tmp_path / "cv", folding=Folding(folds=3))
    held_out = read(tmp_path / "cv").query("split == 'test'")
    assert (held_out.groupby("group")["fold"].nunique() == 1).all()


def test_more_folds_than_groups_are_refused(digits_folder: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few for 30 folds; at most 16"):
        finetune.cross_validate(digits_folder, small_recipe, tmp_path / "cv", folding=Folding(folds=30))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((("data.resplit", True), ("data.resplit", False)), "candidates share data"),
        ((("freeze.policy", "head-only"),), "one value is no choice"),
    ],
)
def test_choices_that_are_none_are_refused(
    settings: tuple[tuple[str, object], ...], message: str, digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        finetune.cross_validate(digits_folder, small_recipe, tmp_path / "cv", folding=Folding(select=settings))


@pytest.mark.usefixtures("store")
def test_the_command_prints_the_spread_and_what_was_chosen(
    digits_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", "tf_efficientnet_lite0", "--weights", "embedded", "--image-size", "64", "--epochs", "1"]
    choices = ["--select", "freeze.policy=head-only", "--select", "freeze.policy=first-three", "--inner-folds", "2"]
    arguments = ["cv", str(digits_folder), *options, *choices, "--folds", "2", "--out", str(tmp_path / "cv")]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert "balanced accuracy of the 2 folds: " in printed
    choices_made = pd.read_csv(tmp_path / "cv" / "choices.csv")
    assert len(choices_made) == 4
    assert choices_made.groupby("fold")["is_chosen"].sum().tolist() == [1, 1]
    best = choices_made.loc[choices_made.groupby("fold")["balanced_accuracy"].idxmax()]
    chosen = choices_made[choices_made["is_chosen"]]
    assert (chosen["balanced_accuracy"].to_numpy() == best["balanced_accuracy"].to_numpy()).all()


def test_each_image_is_explained_by_the_network_that_had_not_seen_it(
    digits_folder: Path, small_recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also when the networks of later folds have been fitted in its place since."""
    folds = list[tuple[dict[tuple[str, str], NDArray[np.uint8] | None], Explain]]()

    class Listening(FoldFitter):
        def fit(self, dataset: Dataset, name: str = "", **how: Any) -> FoldFit:
            fit = super().fit(dataset, name, **how)
            held_out = dataset.part("test")[["path", "label"]].astype(str).iloc[::4]
            folds.append(
                ({(path, label): fit.explain(path, label) for path, label in held_out.to_numpy()}, fit.explain)
            )
            return fit

    monkeypatch.setattr("finetune.jobs.candidates.FoldFitter", Listening)
    recipe = change_recipe(small_recipe, {"train.learning_rate": 5e-3})
    finetune.cross_validate(digits_folder, recipe, tmp_path / "cv", folding=Folding(folds=2))
    (first, of_first), (second, of_second) = folds
    assert sum(picture is not None for picture in [*first.values(), *second.values()]) >= 6
    for drawn, own, other in ((first, of_first, of_second), (second, of_second, of_first)):
        assert all(np.array_equal(own(*image), picture) for image, picture in drawn.items())
        assert not all(np.array_equal(other(*image), picture) for image, picture in drawn.items())
    assert "heat" in (tmp_path / "cv" / "report.html").read_text(encoding="utf-8")
