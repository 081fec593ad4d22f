"""A run judged on images from elsewhere: the same scores, the whole report, and what changed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import finetune
from data_tools import DataError, DatasetSettings
from finetune.errors import InputError, WeightsError
from finetune.evaluation import difference_of
from finetune.reporting import rebuild_report
from recipes import Recipe

LABELS = (0, 1, 8)
FILES = {
    *("predictions.csv", "dataset.csv", "findings.csv", "environment.json", "change.csv"),
    *("report.txt", "report.csv", "report.json", "report.html", "report.md", "figures"),
}


def write_digits(folder: Path, first: int, count: int, labels: tuple[int, ...] = LABELS, dim: float = 1.0) -> Path:
    digits = load_digits()
    for label in labels:
        (folder / str(label)).mkdir(parents=True)
        for number in np.flatnonzero(digits.target == label)[first : first + count]:
            scan = Image.fromarray((dim * digits.images[number] * 255 / 16).round().astype(np.uint8))
            scan.resize((48, 48), Image.Resampling.BICUBIC).save(folder / str(label) / f"{number:04d}.png")
    return folder


@pytest.fixture(scope="module", params=["linear", "multi-stage"])
def run(request: pytest.FixtureRequest, digits_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from recipes import load_recipe

    overrides: dict[str, object] = {
        "model.name": "tf_efficientnet_lite0",
        "model.weights": "embedded",
        "model.image_size": 64,
        "train.epochs": 2,
        "data.workers": 0,
        "head.kind": request.param,
    }
    return finetune.run(digits_folder, load_recipe(None, overrides), tmp_path_factory.mktemp("runs") / "run").folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Digits that no run has seen, pale."""
    return write_digits(tmp_path / "site", 30, 12, dim=0.4)


def scores_of(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "predictions.csv", dtype={"label": str, "predicted": str})
    test = table[table["split"] == "test"]
    return test.set_index(test["path"].str.rpartition("/")[2])


def test_its_own_test_images_get_the_scores_that_they_had(run: Path, digits_folder: Path, tmp_path: Path) -> None:
    own = scores_of(run)
    for path in own["path"]:
        (tmp_path / "again" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(digits_folder / path, tmp_path / "again" / path)
    result = finetune.evaluate(run, tmp_path / "again", tmp_path / "out")
    here = scores_of(tmp_path / "out").loc[own.index]
    columns = ["score_0", "score_1", "score_8"]
    assert float((own[columns] - here[columns]).abs().to_numpy().max()) <= 1e-6
    assert list(own["predicted"]) == list(here["predicted"])
    assert any(f"{len(own)} of {len(own)} images are in the run's own test part too" in one for one in result.warnings)
    assert all(abs(one.difference.value) <= 1e-6 for one in result.changes if one.difference.value is not None)


def test_a_set_from_elsewhere_is_reported_in_full(run: Path, elsewhere: Path, tmp_path: Path) -> None:
    watched: list[str] = []

    def track(items, description, total):
        watched.append(description)
        return items

    result = finetune.evaluate(run, elsewhere, tmp_path / "out", workers=1, track=track)
    folder = tmp_path / "out"
    assert {entry.name for entry in folder.iterdir()} == FILES
    assert watched[-1] == "predictions"
    report = json.loads((folder / "report.json").read_text())
    assert report["images"] == 36
    assert report["labels"] == ["0", "1", "8"]
    own = json.loads((run / "report.json").read_text())
    changed = {(row["metric"], row["class"]): row for row in report["change"]}
    for name, metric in report["overall"].items():
        row = changed[name, None]
        assert row["here"] == metric["value"]
        assert row["own"] == own["overall"][name]["value"]
    accuracy = next(one for one in result.changes if (one.metric, one.label) == ("accuracy", None))
    assert accuracy.difference == difference_of(result.evaluation.overall["accuracy"], result.own.overall["accuracy"])
    table = pd.read_csv(folder / "change.csv", dtype={"class": str}, keep_default_na=False)
    assert len(table) == len(report["change"]) == len(result.changes)
    assert list(table["metric"][:2]) == ["accuracy", "balanced_accuracy"]
    page = (folder / "report.html").read_text()
    assert "Against the run's own test part" in page
    assert "Against the run" not in (run / "report.html").read_text()
    assert "change" not in own
    assert set(pd.read_csv(folder / "dataset.csv")["split"]) == {"test"}


def test_the_report_of_an_evaluation_is_rebuilt_to_the_same_bytes(run: Path, elsewhere: Path, tmp_path: Path) -> None:
    folder = finetune.evaluate(run, elsewhere, tmp_path / "out").folder
    names = ("report.txt", "report.csv", "report.json", "change.csv")
    before = {name: (folder / name).read_bytes() for name in names}
    for name in names[:2]:
        (folder / name).unlink()
    rebuild_report(folder)
    assert before == {name: (folder / name).read_bytes() for name in names}


def test_splits_of_the_data_are_ignored_and_evaluating_twice_gives_the_same_bytes(
    run: Path, elsewhere: Path, tmp_path: Path
) -> None:
    split = tmp_path / "split"
    for place, path in enumerate(sorted(elsewhere.rglob("*.png"))):
        target = split / ("train", "val", "test")[place % 3] / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    one = finetune.evaluate(run, elsewhere, tmp_path / "one")
    two = finetune.evaluate(run, elsewhere, tmp_path / "two", workers=2)
    other = finetune.evaluate(run, split, tmp_path / "other")
    for name in ("predictions.csv", "report.json", "dataset.csv", "findings.csv", "change.csv"):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes(), name
    assert other.evaluation.images == 36
    assert (one.evaluation.confusion_matrix == other.evaluation.confusion_matrix).all()


def test_images_that_the_run_has_learned_from_stop_it_unless_allowed(
    run: Path, digits_folder: Path, elsewhere: Path, tmp_path: Path
) -> None:
    rows = pd.read_csv(run / "dataset.csv")
    learned = rows[rows["split"] != "test"].groupby("split")["path"].first()
    assert set(learned.index) == {"train", "val"}
    for split, path in learned.items():
        shutil.copy(digits_folder / path, elsewhere / "8" / f"{split}.png")
    with pytest.raises(DataError, match=r"seen_in_training: 2 of 38 images.*--allow seen_in_training"):
        finetune.evaluate(run, elsewhere, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    allowed = DatasetSettings(allow=("seen_in_training",))
    result = finetune.evaluate(run, elsewhere, tmp_path / "out", allowed)
    found = pd.read_csv(tmp_path / "out" / "findings.csv", keep_default_na=False).head(2)
    assert set(found["check"]) == {"seen_in_training"}
    assert set(found["severity"]) == {"error"}
    assert list(found["path"]) == ["8/train.png", "8/val.png"]
    assert list(found["other_path"]) == [learned["train"], learned["val"]]
    assert any("2 of 38 images" in sentence for sentence in result.warnings)


def test_a_class_that_is_not_there_is_a_warning_and_one_that_is_unknown_an_error(run: Path, tmp_path: Path) -> None:
    said: list[str] = []
    fewer = write_digits(tmp_path / "fewer", 30, 6, labels=(0, 8))
    result = finetune.evaluate(run, fewer, tmp_path / "out", say=said.append)
    assert any("'1'" in sentence for sentence in result.warnings)
    assert said == list(result.warnings)
    balanced = next(one for one in result.changes if one.metric == "balanced_accuracy")
    assert balanced.difference.value is None
    assert json.loads((tmp_path / "out" / "report.json").read_text())["warnings"][0] == result.warnings[0]
    more = write_digits(tmp_path / "more", 30, 2, labels=(0, 3, 8))
    with pytest.raises(DataError, match=r"class '3' \(2 images\) is none that the network knows \('0', '1', '8'\)"):
        finetune.evaluate(run, more, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_groups_are_those_of_the_data(run: Path, elsewhere: Path, tmp_path: Path) -> None:
    rows = [
        f"{path.relative_to(elsewhere).as_posix()},p{n % 5}" for n, path in enumerate(sorted(elsewhere.rglob("*.png")))
    ]
    (tmp_path / "people.csv").write_text("path,patient\n" + "\n".join(rows) + "\n")
    settings = DatasetSettings(metadata=tmp_path / "people.csv", group="patient")
    result = finetune.evaluate(run, elsewhere, tmp_path / "out", settings)
    assert (result.evaluation.images, result.evaluation.groups) == (36, 5)


def test_a_folder_with_other_files_is_left_alone(run: Path, elsewhere: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no evaluation"):
        finetune.evaluate(run, elsewhere, run, overwrite=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="no evaluation"):
        finetune.evaluate(run, elsewhere, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"
    done = finetune.evaluate(run, elsewhere, tmp_path / "new").folder
    (done / "old.txt").write_text("of an earlier one")
    with pytest.raises(InputError, match="--overwrite"):
        finetune.evaluate(run, elsewhere, done)
    with pytest.raises(DataError):
        finetune.evaluate(run, tmp_path / "absent", done, overwrite=True)
    assert (done / "old.txt").exists()  # until there is something to put in its place
    finetune.evaluate(run, elsewhere, done, overwrite=True)
    assert not (done / "old.txt").exists()


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        ("recipe.yaml", InputError, "no recipe.yaml"),
        ("dataset.csv", InputError, "dataset.csv is missing"),
        ("model/model.safetensors", InputError, "model/model.safetensors is missing"),
        ("model", InputError, "model/config.json, model/model.safetensors are missing"),
        ("torn weights", WeightsError, "model.safetensors"),
        ("torn config", WeightsError, "config.json"),
        ("other network", WeightsError, "is not what config.json says"),
        ("no such network", WeightsError, "names no architecture"),
        ("no classes", WeightsError, "names no classes"),
        ("other classes", InputError, "names 4 classes and the network 3"),
    ],
)
def test_a_damaged_run_is_told_in_one_line(
    run: Path, elsewhere: Path, tmp_path: Path, damage: str, error: type[Exception], words: str
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(run, copied)
    weights, config = copied / "model" / "model.safetensors", copied / "model" / "config.json"
    content = json.loads(config.read_text())
    if damage == "torn weights":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif damage == "torn config":
        config.write_text(config.read_text()[:40])
    elif damage == "other network":
        config.write_text(json.dumps({**content, "architecture": "tf_efficientnet_lite1"}))
    elif damage == "no such network":
        config.write_text(json.dumps({**content, "architecture": "resnet5O"}))
    elif damage == "no classes":
        config.write_text(json.dumps({**content, "label_names": []}))
    elif damage == "other classes":
        config.write_text(json.dumps({**content, "label_names": ["0", "1", "8", "9"]}))
    elif damage == "model":
        shutil.rmtree(copied / "model")
    else:
        (copied / damage).unlink()
    with pytest.raises(error, match=words) as told:
        finetune.evaluate(copied, elsewhere, tmp_path / "out")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("store")
def test_a_run_with_groups_warns_of_data_without_any(
    digits_folder: Path, small_recipe: Recipe, elsewhere: Path, tmp_path: Path
) -> None:
    data = small_recipe.data.model_copy(update={"group": r"/(\d\d\d)\d\.png"})
    folder = finetune.run(digits_folder, small_recipe.model_copy(update={"data": data}), tmp_path / "run").folder
    result = finetune.evaluate(folder, elsewhere, tmp_path / "out")
    assert any("--group" in sentence for sentence in result.warnings)
    grouped = replace(DatasetSettings(), group=r"/(\d\d\d)\d\.png")
    assert not any("--group" in one for one in finetune.evaluate(folder, elsewhere, tmp_path / "two", grouped).warnings)
