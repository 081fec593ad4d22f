"""Stored views against fresh ones: what may be looked at, the page, and the default that follows."""

from pathlib import Path
from typing import Any

import click
import pandas as pd
import pytest
from click.testing import CliRunner

from benchmarks.inner_splits import LEAST_IMAGES, REPORTED_SEEDS, copy_inner_images
from benchmarks.pairing import Difference, paired_difference
from benchmarks.results import read_results
from benchmarks.views import cut_settings, main
from benchmarks.views_page import STORED, choose_views, document, stored_name
from data_tools import DatasetSettings, prepare_dataset


def records(values: dict[str, list[float]], **changes: Any) -> list[dict[str, Any]]:
    same = {"recipe": None, "model": "m", "settings": [], **changes}
    return [
        {"set": f"set{number // 2}", "cut": number % 2, "setting": name, "balanced_accuracy": value, **same}
        for name, held in values.items()
        for number, value in enumerate(held)
    ]


def difference(value: float, high: float) -> Difference:
    return Difference(value, value - 0.01, high, 4)


def test_inner_images_hold_none_that_a_reported_run_tests_on(three_digits: Path, tmp_path: Path) -> None:
    settings = DatasetSettings(resplit=True, test_fraction=1 / 3)
    inner = copy_inner_images(three_digits, tmp_path / "inner", settings)
    held = {file.relative_to(inner.folder).as_posix() for file in inner.folder.glob("*/*.png")}
    for seed in REPORTED_SEEDS:
        made = prepare_dataset(three_digits, DatasetSettings(resplit=True, test_fraction=1 / 3, seed=seed))
        assert held.isdisjoint(made.part("test")["path"])
    assert 0.2 * 120 < len(held) < 0.45 * 120
    assert inner.overrides == {}


def test_groups_go_along_and_small_classes_stay_behind(three_digits: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    files = sorted(three_digits.glob("*/*.png"))
    kept = [file for file in files if file.parent.name != "8"] + [file for file in files if file.parent.name == "8"][:9]
    for file in kept:
        target = source / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    pairs = pd.DataFrame({"path": [f"{file.parent.name}/{file.name}" for file in kept]})
    pairs.assign(pair=[f"pair{number // 2}" for number in range(len(kept))]).to_csv(
        source / "metadata.csv", index=False
    )
    inner = copy_inner_images(source, tmp_path / "inner", cut_settings(source, "pair"))
    labels = {folder.name for folder in inner.folder.iterdir() if folder.is_dir()}
    assert labels == {"0", "1"}
    made = prepare_dataset(inner.folder, DatasetSettings(metadata=inner.folder / "metadata.csv", group="group"))
    assert made.table["group"].str.startswith("pair").all()
    assert made.table["group"].value_counts().max() == 2
    assert made.leakage() == {"duplicates_across_splits": 0, "groups_across_splits": 0}
    assert made.table["label"].value_counts().min() >= LEAST_IMAGES


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
    three_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILTUNE_CACHE", str(tmp_path / "store"))
    results = tmp_path / "views.jsonl"
    common = [str(three_digits), "--cut", "11", "--results", str(results)]
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
    assert "| digits |" in (tmp_path / "views.md").read_text()
