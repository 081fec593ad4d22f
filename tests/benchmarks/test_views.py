"""Stored views against fresh ones: what may be looked at, the page, and the default that follows."""

import csv
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from benchmarks.choose_defaults import DEFAULT, summary
from benchmarks.inner_splits import inner_manifest
from benchmarks.pairing import Difference, paired_difference
from benchmarks.peers.cuts import prepare_cut
from benchmarks.peers.tools.task import read_rows
from benchmarks.results import read_results
from benchmarks.views import main
from benchmarks.views_page import STORED, choose_views, document, stored_name


def records(values: dict[str, list[float]], **changes: Any) -> list[dict[str, Any]]:
    same = {"recipe": None, "model": "m", "settings": [], **changes}
    return [
        {"set": f"set{number // 2}", "cut": number % 2, "setting": name, "balanced_accuracy": value, **same}
        for name, held in values.items()
        for number, value in enumerate(held)
    ]


def difference(value: float, high: float) -> Difference:
    return Difference(value, value - 0.01, high, 4)


@pytest.fixture
def two_labels(three_digits: Path, tmp_path: Path) -> Path:
    """Digits in the place of a set of the comparison."""
    for digit, label in (("0", "no"), ("8", "yes")):
        shutil.copytree(three_digits / digit, tmp_path / "data" / "brain_mri_yesno" / label)
    return tmp_path / "data"


def test_inner_images_are_the_training_images_of_a_cut_with_their_groups(two_labels: Path, tmp_path: Path) -> None:
    with inner_manifest(two_labels, "brain_mri_yesno", 1, tmp_path / "work").open(newline="") as file:
        inner = {(row["path"], row["label"], row["group"]) for row in csv.DictReader(file)}
    whole = read_rows(prepare_cut(two_labels, "brain_mri_yesno", 1, tmp_path / "work"))
    assert inner == {(row.path, row.label, row.group) for row in whole if row.split == "train"}
    assert {path for path, _, _ in inner}.isdisjoint(row.path for row in whole if row.split == "test")
    assert 0.6 * len(whole) < len(inner) < 0.7 * len(whole)


def test_a_summary_ranks_settings_and_pairs_each_with_the_default() -> None:
    values = {DEFAULT: [0.7, 0.8, 0.9, 0.6], "a=2": [0.8, 0.9, 1.0, 0.7]}
    made = [
        {"set": f"set{number // 2}", "cut": number % 2, "setting": name, "balanced_accuracy": value}
        for name, held in values.items()
        for number, value in enumerate(held)
    ]
    first, second = summary(made).splitlines()[2:]
    assert first == "| `a=2` | 0.850 | 0.850 | 0.850 | +10.0 (+10.0 to +10.0) |"
    assert second == f"| `{DEFAULT}` | 0.750 | 0.750 | 0.750 |  |"


def test_a_paired_difference_has_student_s_interval() -> None:
    found = paired_difference([0.9, 0.8, 0.7], [0.8, 0.8, 0.75])
    assert found.value == pytest.approx(0.05 / 3)
    assert found.high - found.low == pytest.approx(2 * 4.30265 * 0.0763763 / 3**0.5, rel=1e-4)
    assert found.points == "+1.7 (-17.3 to +20.6)"
    assert paired_difference([0.9], [0.8]).points == "+10.0"


def test_the_default_is_the_fewest_views_that_are_as_good_as_fresh_ones() -> None:
    near = difference(-0.004, 0.006)
    assert choose_views({1: difference(-0.02, 0.01), 2: near, 4: near, 8: near})[0] == 2
    assert choose_views({1: difference(-0.004, -0.001), 2: near})[0] == 2
    chosen, sentence = choose_views({1: difference(-0.03, 0.0), 2: difference(-0.02, 0.0), 4: difference(-0.01, 0.0)})
    assert chosen == 4
    assert "no number of stored views comes within 0.5 points" in sentence


def test_the_page_compares_pairs_that_have_every_setting() -> None:
    values = {stored_name(views): [0.7, 0.8, 0.9, 0.6] for views in STORED} | {"fresh": [0.7, 0.8, 0.9]}
    page = document(records(values))
    assert "3 pairs of set and cut in all" in page
    assert "| set0 | 0.750 | 0.750 | 0.750 | 0.750 | 0.750 |" in page
    assert "| against fresh | +0.0 (+0.0 to +0.0) |" in page
    assert "Default: `augment.views: 1`" in page


def test_results_of_two_models_or_without_a_whole_pair_are_refused() -> None:
    values = {stored_name(views): [0.7] for views in STORED}
    with pytest.raises(click.ClickException, match="no set and cut has all settings"):
        document(records(values))
    with pytest.raises(click.ClickException, match="of 2 recipes or models"):
        document(records(values) + records({"fresh": [0.5]}, model="n"))


@pytest.mark.slow
def test_a_tiny_comparison_is_built_up_in_pieces(
    two_labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILTUNE_CACHE", str(tmp_path / "store"))
    results = tmp_path / "views.jsonl"
    common = ["--data", str(two_labels), "--sets", "brain_mri_yesno", "--cut", "1", "--results", str(results)]
    common += ["--work", str(tmp_path / "work")]
    for setting in ("model.image_size=32", "train.epochs=1", "data.workers=0"):
        common += ["--set", setting]
    one = CliRunner().invoke(main, ["run", *common, "--setting", "stored 2"])
    assert one.exit_code == 0, one.output
    (first,) = read_results(results)
    all_of_them = CliRunner().invoke(main, ["run", *common])
    assert all_of_them.exit_code == 0, all_of_them.output
    held = read_results(results)
    assert held[0] == first
    assert sorted(record["setting"] for record in held) == ["fresh", *(stored_name(views) for views in STORED)]
    assert [record["timings"]["views"] for record in held if record["setting"] == "stored 8"] == [8]
    page = CliRunner().invoke(main, ["table", str(results), "--out", str(tmp_path / "views.md")])
    assert page.exit_code == 0, page.output
    assert "| brain_mri_yesno |" in (tmp_path / "views.md").read_text()
