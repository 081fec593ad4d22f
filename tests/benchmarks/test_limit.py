"""A run against its bare work: how often what is counted, and when a run is too slow."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import finetune
from benchmarks.bare_work import BareSeconds, measure_bare
from benchmarks.limit import RunRecord, bare_parts, compare, count_work, draw_sample, main, read_run
from recipes import load_recipe

BARE = BareSeconds(
    start_up=5.0,
    decode=0.02,
    augment=0.01,
    fit=0.005,
    trunk=0.1,
    plain_trunk=0.2,
    step=0.03,
    score=0.01,
    pool=0.004,
    view_values=7,
)
TIMINGS = {"decode": 1.0, "trunk": 1.0, "tail": 1.0, "evaluate": 1.0, "report": 1.0, "total": 100.0, "epochs": 3}


def make_record(overrides: dict[str, Any], total: float = 100.0, *, is_solved: bool = False) -> RunRecord:
    splits = ["train"] * 100 + ["val"] * 20 + ["test"] * 30
    table = pd.DataFrame({"path": [f"{n:03d}.png" for n in range(150)], "label": ["a", "b"] * 75, "split": splits})
    recipe = load_recipe(None, {"augment.views": 2, **overrides})
    timings = {**TIMINGS, "total": total}
    return RunRecord(recipe, Path("root"), table, timings, {"workers": 2, "threads": 1}, is_solved)


def test_stored_views_cost_the_trunk_once_and_every_image_is_decoded_once() -> None:
    record = make_record({"cache.mode": "stored"})
    parts = bare_parts(count_work(record, BARE), BARE)
    assert parts == pytest.approx(
        {
            "decode": 150 * 0.02 / 2,
            "trunk": 100 * 2 * 0.1 + 50 * 0.2,
            "tail": 3 * (100 * 0.03 + 20 * 0.01),
            "evaluate": 50 * 0.01,
        }
    )


def test_a_solved_head_costs_the_tail_on_every_view_and_one_judgement() -> None:
    plain, solved = (make_record({"cache.mode": "stored"}, is_solved=held) for held in (False, True))
    tails = [bare_parts(count_work(record, BARE), BARE)["tail"] for record in (plain, solved)]
    assert tails[1] - tails[0] == pytest.approx(100 * 2 * 0.004 + 20 * 0.01)


def test_fresh_views_cost_the_trunk_in_every_epoch_and_plain_images_have_one_view() -> None:
    assert count_work(make_record({"cache.mode": "fresh"}), BARE).looks == 3
    assert count_work(make_record({"cache.mode": "stored", "augment.preset": "none"}), BARE).looks == 1


def test_a_run_holds_up_to_a_quarter_above_its_bare_work_with_start_up_left_out() -> None:
    record = make_record({"cache.mode": "stored"})
    counts = count_work(record, BARE)
    limit = sum(bare_parts(counts, BARE).values())
    for factor, holds in ((1.249, True), (1.251, False)):
        found = compare(make_record({"cache.mode": "stored"}, 5.0 + factor * limit), counts, BARE)
        assert found["ratio"] == pytest.approx(factor)
        assert found["holds"] is None  # too short to tell
        slow = {name: 10 * value for name, value in vars(BARE).items() if name != "view_values"}
        ten = BareSeconds(**slow, view_values=7)
        assert compare(make_record({"cache.mode": "stored"}, 50.0 + factor * 10 * limit), counts, ten)["holds"] is holds


def test_a_sample_is_spread_over_the_sorted_images() -> None:
    record = make_record({})
    assert [file.name for file in draw_sample(record, 4).files] == ["000.png", "050.png", "099.png", "149.png"]
    assert len(draw_sample(record, 1000).files) == 150


@pytest.mark.parametrize("policy", ["first-three", "full"])
def test_every_part_of_a_real_network_is_measured(three_digits: Path, policy: str) -> None:
    overrides = {"model.weights": "embedded", "model.name": "tf_efficientnet_lite0", "model.image_size": 64}
    recipe = load_recipe(None, {**overrides, "freeze.policy": policy})
    files = sorted(three_digits.glob("*/*.png"))[:17]
    table = pd.DataFrame({"path": [str(file) for file in files], "label": "0", "split": "train"})
    bare = measure_bare(draw_sample(RunRecord(recipe, Path(), table, {}, {}, is_solved=True), 17), recipe, repeats=2)
    measured = (bare.start_up, bare.decode, bare.augment, bare.fit, bare.step, bare.score, bare.pool)
    assert min(measured) > 0
    has_trunk = policy == "first-three"
    assert (bare.trunk > 0, bare.plain_trunk > 0, bare.view_values > 0) == (has_trunk,) * 3


@pytest.mark.slow
def test_the_command_makes_a_run_and_tells_each_part(three_digits: Path) -> None:
    options = ["--model", "tf_efficientnet_lite0", "--weights", "embedded", "--image-size", "64", "--epochs", "1"]
    options += ["--workers", "0", "--sample", "16", "--repeats", "1", "--json"]
    done = CliRunner().invoke(main, [str(three_digits), *options])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["counts"]["train"] + found["counts"]["val"] + found["counts"]["test"] == 120
    assert found["counts"]["epochs"] == 1
    assert found["holds"] is None
    assert found["process_seconds"] > found["total_seconds"] > found["start_up_seconds"] > 0


def test_the_command_measures_a_run_that_is_there(
    three_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILTUNE_CACHE", str(tmp_path / "store"))
    overrides = {"model.weights": "embedded", "model.name": "tf_efficientnet_lite0", "model.image_size": 64}
    finetune.run(three_digits, load_recipe("head-only", {**overrides, "train.epochs": 2}), tmp_path / "run")
    given = [str(three_digits), "--run", str(tmp_path / "run"), "--sample", "8", "--repeats", "1"]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 0, done.output
    assert "total less start-up" in done.output
    assert "is for runs of over 60 s" in done.output
    refused = CliRunner().invoke(main, [*given, "--workers", "0"])
    assert refused.exit_code == 2
    assert "--run brings its own recipe" in refused.output
    (tmp_path / "run" / "timings.json").unlink()
    with pytest.raises(Exception, match="holds no finished run"):
        read_run(tmp_path / "run")
