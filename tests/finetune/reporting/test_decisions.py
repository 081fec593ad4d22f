"""Decisions in report.json, on the page, and rebuilt from the table alone."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from finetune.errors import InputError
from finetune.evaluation import with_calibrated_scores
from finetune.files import write_csv
from finetune.reporting import ReportContext, rebuild_report, write_report
from finetune.reporting.training_shares import shares_trained_for
from recipes import EvaluateSettings, Recipe, dump_recipe
from tests.finetune.evaluation.chest_table import CHEST, make_chest

ASKED = EvaluateSettings(
    target_sensitivity={"PNEUMONIA": 0.95},
    target_specificity={"PNEUMONIA": 0.9},
    cost={"PNEUMONIA": {"NORMAL": 10.0}},
    prevalence={"PNEUMONIA": 0.05},
    subgroups=["site"],
)
PARTS = ("thresholds", "calibration", "costs", "prevalence", "by_group", "subgroups")


def read_json(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def page_of(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, make_chest(1, mixed=0.02), ReportContext(evaluate=ASKED))
    return folder


def every_metric(part: object) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [metric for one in part for metric in every_metric(one)]
    if not isinstance(part, dict):
        return []
    here = [part] if {"value", "low", "high", "method", "n_eff"} <= set(part) else []
    return here + [metric for one in part.values() for metric in every_metric(one)]


def test_every_part_stands_in_json_and_its_intervals_hold_their_values(report: Path) -> None:
    content = read_json(report)
    assert all(content[name] is not None for name in PARTS)
    metrics = [metric for name in PARTS for metric in every_metric(content[name])]
    assert len(metrics) > 60
    for metric in metrics:
        if metric["low"] is None:
            assert metric["reason"]
        else:
            assert metric["low"] <= metric["value"] <= metric["high"]
            assert metric["low"] < metric["high"]


def test_thresholds_are_told_by_class_and_wish(report: Path) -> None:
    point = read_json(report)["thresholds"]["PNEUMONIA"]["sensitivity"]
    assert (point["wanted"], point["chosen_on"]["split"]) == (0.95, "val")
    assert set(point["at_prevalence"]) == {"ppv", "npv"}
    assert sum(point["images"].values()) == read_json(report)["images"]
    assert point["chosen_on"]["sensitivity"]["value"] >= 0.95


def test_the_page_tells_decisions_in_words(report: Path) -> None:
    page = page_of(report)
    for words in (
        "PNEUMONIA at a sensitivity of 95 %",
        "PNEUMONIA at a specificity of 90 %",
        "Call an image PNEUMONIA where its score is",
        "Patient by patient",
        "the mean of its images&#39; scores",
        "<i>not known</i>",
        "Does confidence keep its word?",
        "What mistakes cost",
        "Where the classes have other shares",
    ):
        assert words in page, words
    assert page.index("several labels") < page.index("Balanced accuracy")


def test_nothing_asked_for_leaves_the_page_and_json_without_it(tmp_path: Path) -> None:
    write_report(tmp_path, make_chest().drop_duplicates("group"))
    content = read_json(tmp_path)
    assert [name for name in PARTS if content[name] is None] == [name for name in PARTS if name != "calibration"]
    assert not re.search("Chosen thresholds|Patient by patient|What mistakes cost", page_of(tmp_path))


def test_odd_names_of_classes_and_values_show_as_text(tmp_path: Path) -> None:
    labels = ("<script>alert(1)</script>", "{{7*7}}")
    table = make_chest(2, labels).assign(site="<b>Ulm</b>")
    evaluate = EvaluateSettings(
        target_sensitivity={labels[0]: 0.9}, cost={labels[0]: {labels[1]: 3.0}}, prevalence={labels[1]: 0.2},
        subgroups=["site"],
    )  # fmt: skip
    write_report(tmp_path, table, ReportContext(evaluate=evaluate))
    page = page_of(tmp_path)
    assert "<script>alert" not in page
    assert "<b>Ulm" not in page
    assert "{{7*7}}" in page
    assert "&lt;b&gt;Ulm&lt;/b&gt;" in page


def make_run(folder: Path, recipe: Recipe, table: pd.DataFrame) -> Path:
    """What of a run's folder its report rests on."""
    folder.mkdir()
    train = table[table["split"] == "val"].assign(split="train", status="ok")
    history = pd.DataFrame({"epoch": [0, 1]})
    trained = shares_trained_for(recipe, train, history, CHEST)
    write_csv(folder / "predictions.csv", with_calibrated_scores(table, CHEST))
    write_csv(folder / "dataset.csv", train)
    write_csv(folder / "history.csv", history)
    (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    write_report(folder, table, ReportContext(labels=CHEST, evaluate=recipe.evaluate, trained=trained))
    return folder


@pytest.mark.parametrize("balance", ["loss", "none"])
def test_a_run_is_rebuilt_to_the_same_json_from_its_table_and_recipe(tmp_path: Path, balance: str) -> None:
    recipe = Recipe(evaluate=ASKED, train={"class_balance": balance})
    run = make_run(tmp_path / "run", recipe, make_chest(1, mixed=0.02))
    before = (run / "report.json").read_bytes()
    rebuild_report(run)
    assert (run / "report.json").read_bytes() == before
    trained = read_json(run)["prevalence"]["trained_for"]
    assert (trained["NORMAL"] == 0.5) == (balance == "loss")


def test_options_go_before_the_recipe_and_leave_no_stale_warning(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Recipe(evaluate=ASKED), make_chest(5))
    assert any("Subgroups by 'site'" in warning for warning in read_json(run)["warnings"])
    rebuild_report(run, None, {"evaluate.subgroups": ["group"], "evaluate.target_sensitivity.NORMAL": 0.8})
    content = read_json(run)
    assert list(content["subgroups"]) == ["group"]
    assert set(content["thresholds"]) == {"NORMAL", "PNEUMONIA"}
    assert not any("Subgroups by 'site'" in warning for warning in content["warnings"])
    assert any("Subgroups by 'group'" in warning for warning in content["warnings"])


def test_a_bare_table_takes_the_same_settings(tmp_path: Path) -> None:
    write_csv(tmp_path / "theirs.csv", make_chest())
    settings = {"evaluate.subgroups": ["site"], "evaluate.cost": {"PNEUMONIA": {"NORMAL": 3}}}
    folder, _ = rebuild_report(tmp_path / "theirs.csv", None, settings)
    assert list(read_json(folder)["subgroups"]) == ["site"]
    assert read_json(folder)["costs"]["matrix"]["PNEUMONIA"] == {"NORMAL": 3.0, "PNEUMONIA": 0.0}
    with pytest.raises(InputError, match="a report takes keys of `evaluate` alone"):
        rebuild_report(tmp_path / "theirs.csv", None, {"train.epochs": 3})
    with pytest.raises(InputError, match="did you mean 'site'"):
        rebuild_report(tmp_path / "theirs.csv", None, {"evaluate.subgroups": ["sit"]})


def test_calibrated_columns_are_read_and_change_nothing(tmp_path: Path) -> None:
    table = make_chest()
    for name, given in (("plain", table), ("calibrated", with_calibrated_scores(table, CHEST))):
        write_csv(tmp_path / f"{name}.csv", given)
        rebuild_report(tmp_path / f"{name}.csv", tmp_path / name)
    assert (tmp_path / "plain" / "report.json").read_bytes() == (tmp_path / "calibrated" / "report.json").read_bytes()


def test_many_classes_ask_for_no_columns_of_their_own(tmp_path: Path) -> None:
    labels = tuple(f"c{number:02d}" for number in range(30))
    evaluate = EvaluateSettings(
        prevalence=dict.fromkeys(labels, 1 / 30), cost={"c00": {"c01": 2.0}}, subgroups=["site"], ordered=True
    )
    write_report(tmp_path, make_chest(3, labels, 200), ReportContext(evaluate=evaluate))
    assert "recall of c00" not in page_of(tmp_path)
    assert len(read_json(tmp_path)["costs"]["matrix"]) == 30
    assert read_json(tmp_path)["overall"]["quadratic_kappa"]["value"] is not None
    assert len(page_of(tmp_path)) < 600_000


@pytest.mark.parametrize(
    ("balance", "epochs", "equal"),
    [("loss", [0, 1], True), ("loss", [1], True), ("none", [0], True), ("none", [0, 1], False), ("none", ["1"], False)],
)
def test_a_model_was_trained_for_equal_shares_unless_images_weighed_alike(
    balance: str, epochs: list[object], equal: bool
) -> None:
    dataset = pd.DataFrame({"label": list("aaab"), "split": "train", "status": "ok"})
    found = shares_trained_for(
        Recipe(train={"class_balance": balance}), dataset, pd.DataFrame({"epoch": epochs}), ("a", "b")
    )
    assert np.allclose(found.shares, [0.5, 0.5] if equal else [0.75, 0.25])


def test_without_training_images_their_shares_are_not_guessed() -> None:
    history = pd.DataFrame({"epoch": [1]})
    assert shares_trained_for(Recipe(train={"class_balance": "none"}), None, history, ("a", "b")) is None
