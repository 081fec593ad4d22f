"""The page and its numbers, from a small fixed results file; every number was worked out by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks.peers import judging
from benchmarks.peers.__main__ import main
from benchmarks.peers.page import compose_page
from benchmarks.peers.results import Result, append_result


@pytest.fixture
def results(make_result) -> list[Result]:
    """Two sets with a claim and hymenoptera, three cuts; trainer on one; a pair of the same work."""
    made = []
    for seed, gain in enumerate((0.02, 0.04, 0.06)):
        made += [
            make_result("hymenoptera", "tailtune", seed, 20.0 + seed, 0.50),
            make_result("hymenoptera", "plain", seed, 95.0, 0.90, views=10),
            make_result("bccd_wbc", "tailtune", seed, 15.0, 0.70 + gain),
            make_result("bccd_wbc", "plain", seed, 105.0, 0.70, views=10),
            make_result("bccd_wbc", "fastai", seed, 205.0, 0.60, views=6),
            make_result("chest_xray_pneumonia", "tailtune", seed, 25.0, 0.90 + gain),
            make_result("chest_xray_pneumonia", "plain", seed, 105.0, 0.88, views=10),
            make_result("chest_xray_pneumonia", "tailtune-head-only", seed, 12.0, 0.90),
            make_result("chest_xray_pneumonia", "script", seed, 10.0, 0.91, views=1),
            make_result("bccd_wbc", "tailtune", seed, 55.0, 0.7, policy="full"),
            make_result("bccd_wbc", "tailtune-fp32", seed, 60.0, 0.7, policy="full"),
            make_result("bccd_wbc", "plain", seed, 65.0, 0.7, policy="full"),
            make_result("bccd_wbc", "fastai", seed, 45.0, 0.7, policy="full"),
        ]
    return [*made, make_result("bccd_wbc", "trainer", 0, 65.0, 0.71)]


def test_time_is_set_against_the_fine_tuning_peer_with_the_best_accuracy(results: list[Result]) -> None:
    rows = {row.set: row for row in judging.compare_times(judging.documented(results), "tailtune")}
    assert list(rows) == ["hymenoptera", "bccd_wbc", "chest_xray_pneumonia"]
    # hymenoptera: (20, 21, 22) against 95; net (15, 16, 17) against 90; its accuracy is not reached
    assert rows["hymenoptera"].ratio == pytest.approx(21 / 95)
    assert rows["hymenoptera"].net_ratio == pytest.approx(16 / 90)
    assert not rows["hymenoptera"].is_reached
    # bccd_wbc: trainer has 0.71 on its one cut; tailtune has 0.72 on that cut
    assert (rows["bccd_wbc"].peer, rows["bccd_wbc"].is_reached) == ("trainer", True)
    assert rows["bccd_wbc"].own_accuracy == pytest.approx(0.72)
    assert rows["bccd_wbc"].ratio == pytest.approx(15 / 65)
    (quick,) = judging.compare_times(judging.documented(results), "tailtune-head-only")
    assert (quick.set, quick.peer, quick.is_reached) == ("chest_xray_pneumonia", "plain", True)
    assert quick.ratio == pytest.approx(12 / 105)


def test_accuracy_is_compared_in_pairs_without_hymenoptera(results: list[Result]) -> None:
    rows = {row.peer: row for row in judging.compare_accuracies(judging.documented(results))}
    plain = rows["plain"]
    # bccd_wbc +0.02 +0.04 +0.06, chest +0.04 +0.06 +0.08: mean 0.05
    assert plain.pairs == 6
    assert plain.mean == pytest.approx(0.05)
    assert (plain.worst_set, plain.worst) == ("bccd_wbc", pytest.approx(0.04))
    spread = (sum((value - 0.05) ** 2 for value in (0.02, 0.04, 0.06, 0.04, 0.06, 0.08)) / 5 / 6) ** 0.5
    assert plain.t_interval == pytest.approx((0.05 - 2.5706 * spread, 0.05 + 2.5706 * spread), abs=1e-5)
    # within each set the variance is 0.0004; (1/3 + 1/2) of it, twice, over 2 ** 2; four degrees of freedom
    error = (2 * 0.0004 * (1 / 3 + 1 / 2) / 4) ** 0.5
    assert plain.set_interval == pytest.approx((0.05 - 2.7764 * error, 0.05 + 2.7764 * error), abs=1e-5)
    assert (rows["trainer"].pairs, rows["trainer"].t_interval) == (1, None)


def test_the_script_counts_for_accuracy_and_for_the_time_of_head_only_alone(results: list[Result]) -> None:
    rows = {row.peer: row for row in judging.compare_accuracies(judging.documented(results))}
    assert rows["script"].mean == pytest.approx(0.03)
    assert judging.head_only_ratio(judging.documented(results)) == {"chest_xray_pneumonia": pytest.approx(1.2)}
    assert "script" not in {row.peer for row in judging.compare_times(results, "tailtune")}


def test_the_page_tells_which_runs_were_not_made_in_turns(results: list[Result]) -> None:
    assert "Tools took turns on each cut.\n" in compose_page(results, "plot.png")
    moved = [replace(one, commit="older") if (one.tool, one.seed) == ("fastai", 1) else one for one in results]
    told = "at another time than tailtune's on that cut: fastai 2 of 6. Their"
    assert told in compose_page(moved, "plot.png")


def test_with_full_the_same_work_is_set_against_the_plain_loop(results: list[Result]) -> None:
    (row,) = judging.compare_same_work(results)
    assert (row.peer, row.speed_up) == ("plain", pytest.approx(65 / 55))
    assert row.fp32_speed_up == pytest.approx(65 / 60)
    assert (row.own_rate, row.peer_rate) == (pytest.approx(60.0), pytest.approx(50.0))


def test_the_page_holds_the_numbers_their_commands_and_a_plot(results: list[Result], tmp_path: Path) -> None:
    for result in results:
        append_result(tmp_path / "r.jsonl", result)
    out = tmp_path / "docs" / "benchmarks.md"
    done = CliRunner().invoke(main, ["table", "--results", str(tmp_path / "r.jsonl"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    page = out.read_text()
    assert "| hymenoptera | plain | 0.900 | 0.500 | no | 21.0 | 95.0 | 0.221 | 0.178 |" in page
    assert "| bccd_wbc | trainer | 0.710 | 0.720 | yes | 15.0 | 65.0 | 0.231 | 0.167 |" in page
    assert "Median over 3 sets: 0.231 (net 0.178); largest: 0.238 (net 0.200). Accuracy reached on 2 of 3 sets." in page
    assert "| plain | 6 | +0.050 | +0.028 to +0.072 |" in page
    assert "its accuracy carries\nno claim" in page
    assert "| hymenoptera (no claim) |" in page
    assert "`run --set bccd_wbc --tool plain --seed 0`" in page
    assert "    python -m benchmarks.peers run --set bccd_wbc --tool plain --seed 0 --same-work full\n" in page
    assert str(tmp_path) not in page
    with Image.open(out.with_suffix(".png")) as picture:
        assert picture.width > 1000
    assert f"]({out.stem}.png)" in page
