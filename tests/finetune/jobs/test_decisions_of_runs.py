"""Decisions of a run, from the command line to its files, on real digits with real weights."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finetune.cli.main import main
from finetune.evaluation import read_predictions
from finetune.evaluation.calibrating import apply_temperature

LABELS = ("0", "1", "8")


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def metadata(digits_folder: Path, tmp_path: Path) -> Path:
    """Writers of two digits each and two sites; one image is not in the table."""
    paths = sorted(path.relative_to(digits_folder).as_posix() for path in digits_folder.rglob("*.png"))
    rows = [[path, f"w{number // 2}", ("Ulm", "Lyon")[number % 4 // 2]] for number, path in enumerate(paths)]
    with (tmp_path / "meta.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "writer", "site"], *rows])
    return tmp_path / "meta.csv"


def run_options(digits: Path, metadata: Path, out: Path) -> list[object]:
    overrides = ["model.image_size=64", "data.workers=0", "data.val_fraction=0.45", "data.test_fraction=0.3"]
    chosen = [option for text in overrides for option in ("--set", text)]
    model = ["--model", "tf_efficientnet_lite0", "--weights", "embedded", "--freeze", "head-only"]
    return ["run", digits, "--metadata", metadata, "--group", "writer", "--out", out, *model, *chosen]


@pytest.mark.usefixtures("store")
def test_a_run_carries_decisions_from_the_command_line_to_its_files(
    digits_folder: Path, metadata: Path, tmp_path: Path
) -> None:
    asked = ["evaluate.target_sensitivity.8=0.9", "evaluate.prevalence={'0': 0.8, '1': 0.1}", "evaluate.cost.8.1=5"]
    options = [option for text in asked for option in ("--set", text)]
    out = tmp_path / "run"
    assert call(*run_options(digits_folder, metadata, out), "--subgroup", "site", "--ordered", *options) == 0

    dataset = pd.read_csv(out / "dataset.csv", dtype=str, keep_default_na=False)
    assert list(dataset.columns)[-1] == "site"
    table = read_predictions(out / "predictions.csv")
    by_path = dict(zip(dataset["path"], dataset["site"], strict=True))
    assert table["site"].tolist() == [by_path[path] for path in table["path"]]

    report = json.loads((out / "report.json").read_text())
    assert [one["value"] for one in report["subgroups"]["site"]["values"]] == ["Lyon", "Ulm"]
    assert report["by_group"]["score"] == "mean"
    assert report["prevalence"]["trained_for"] == pytest.approx(dict.fromkeys(LABELS, 1 / 3))
    assert report["thresholds"]["8"]["sensitivity"]["chosen_on"]["images"] < 20
    assert any("it is a guess" in warning for warning in report["warnings"])
    assert "quadratic_kappa" in report["overall"]
    temperature = report["calibration"]["temperature"]
    names = [f"calibrated_{label}" for label in LABELS]
    if temperature is None:
        assert not set(names) & set(table.columns)
        assert report["calibration"]["reason"]
    else:
        plain = table[[f"score_{label}" for label in LABELS]].to_numpy()
        assert np.array_equal(table[names].astype(float).to_numpy(), apply_temperature(plain, temperature))

    before = {name: (out / name).read_bytes() for name in ("report.json", "report.csv", "report.txt", "recipe.yaml")}
    assert call("report", out) == 0
    assert all((out / name).read_bytes() == content for name, content in before.items())


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "evaluate.target_sensitivity.9=0.9"], "evaluate.target_sensitivity: '9' is none of the 3 classes"),
        (["--subgroup", "sit"], "did you mean 'site'?"),
        (["--set", "evaluate.order=[0, 1]"], "must be text, got 0"),
        (["--set", "evaluate.order=['0', '1']"], "evaluate.order: must name every class; '8' missing"),
    ],
)
def test_an_unknown_class_or_column_stops_a_run_before_it_trains(
    digits_folder: Path,
    metadata: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    assert call(*run_options(digits_folder, metadata, tmp_path / "run"), *options) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run" / "history.csv").exists()
