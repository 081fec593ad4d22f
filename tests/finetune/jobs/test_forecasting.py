"""The forecast of a run: sizes to the byte, seconds within a factor, nothing left behind."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

import finetune
from finetune.features.sources import Batch
from finetune.jobs.calibrating import TailPace, TimedSource, TrunkPace
from finetune.jobs.forecasting import Forecast, forecast_run
from recipes import Recipe
from recipes.schema import PhaseSettings

SHARED = Path(__file__).parents[3].parent / "shared"
WEIGHTS = SHARED / "weights" / "tf_efficientnet_lite0.safetensors"

FROZEN_AGAIN = [
    PhaseSettings(policy=policy, first_epoch=epoch)
    for epoch, policy in enumerate(("head-only", "first-three", "head-only"), start=1)
]
"""The third phase freezes what the first did, but with the values that the second has learnt."""


def changed(recipe: Recipe, **sections: dict[str, object]) -> Recipe:
    updates = {name: getattr(recipe, name).model_copy(update=values) for name, values in sections.items()}
    return recipe.model_copy(update=updates)


def stored_bytes(store: Path) -> list[int]:
    return sorted(sum(file.stat().st_size for file in entry.glob("*.bin")) for entry in store.glob("features/*"))


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"cache": {"dtype": "fp32"}, "augment": {"views": 3}},
        {"data": {"val_fraction": 0.001, "workers": 2}},
        {"freeze": {"policy": "gradual"}, "train": {"epochs": 3}},
        {"freeze": {"policy": "phases", "phases": FROZEN_AGAIN}, "train": {"epochs": 3}},
        {"cache": {"mode": "fresh"}, "train": {"epochs": 1}},
        {"train": {"epochs": 1, "precision": "fp64", "optimizer": "sgd", "anneal": "epoch"}},
    ],
    ids=["default", "fp32", "scarce-val", "gradual", "frozen-again", "fresh", "fp64"],
)
def test_the_predicted_store_is_the_store_of_the_run_to_the_byte(
    digits_folder: Path, small_recipe: Recipe, store: Path, tmp_path: Path, sections: dict[str, dict[str, object]]
) -> None:
    recipe = changed(small_recipe, **sections)
    _, forecast = forecast_run(digits_folder, recipe)
    assert [entry.name for entry in store.iterdir()] == ["pixels"]
    assert forecast.pixel_bytes == sum(file.stat().st_size for file in store.glob("pixels/*/*.[ip]*")) > 0
    finetune.run(digits_folder, recipe, tmp_path / "run")
    assert sorted(row["bytes"] for row in forecast.store) == stored_bytes(store)
    assert forecast.store_bytes == sum(stored_bytes(store)) > 0


@pytest.mark.usefixtures("store")
def test_every_part_takes_time_and_the_total_is_their_sum(digits_folder: Path, small_recipe: Recipe) -> None:
    made, forecast = forecast_run(digits_folder, small_recipe)
    assert list(forecast.seconds) == ["scan", "decode", "trunk", "tail", "evaluate"]
    assert all(seconds > 0 for seconds in forecast.seconds.values())
    assert forecast.total_seconds == sum(forecast.seconds.values())
    assert forecast.images == {split: len(made.dataset.part(split)) for split in ("train", "val", "test")}
    assert forecast.memory_bytes is None or forecast.memory_bytes > forecast.store_bytes


@pytest.mark.parametrize(("policy", "built"), [("first-three", 3), ("gradual", 7)])
@pytest.mark.usefixtures("store")
def test_features_that_the_run_finds_again_take_no_time(
    digits_folder: Path, small_recipe: Recipe, monkeypatch: pytest.MonkeyPatch, policy: str, built: int
) -> None:
    """Train and val in each phase, then test at the last cut; val is not decoded a second time to be scored."""
    monkeypatch.setattr(TrunkPace, "seconds", lambda pace, images: (1.0, 10.0))
    recipe = changed(small_recipe, freeze={"policy": policy}, train={"epochs": 3})
    _, forecast = forecast_run(digits_folder, recipe)
    assert len(forecast.store) == built
    assert (forecast.seconds["decode"], forecast.seconds["trunk"]) == (built, 10.0 * built)


@pytest.mark.usefixtures("store")
def test_more_epochs_take_a_longer_tail(digits_folder: Path, small_recipe: Recipe) -> None:
    _, short = forecast_run(digits_folder, changed(small_recipe, train={"epochs": 50}))
    _, long = forecast_run(digits_folder, changed(small_recipe, train={"epochs": 500}))
    assert 3 < long.seconds["tail"] / short.seconds["tail"] < 30
    assert (short.epochs, short.patience) == (50, 4)


@pytest.mark.usefixtures("store")
def test_a_network_without_trunk_stores_nothing_and_spends_all_on_the_tail(
    digits_folder: Path, small_recipe: Recipe
) -> None:
    _, forecast = forecast_run(digits_folder, changed(small_recipe, cache={"mode": "whole"}))
    assert forecast.store == ()
    assert forecast.seconds["decode"] == forecast.seconds["trunk"] == 0.0
    assert forecast.seconds["tail"] > 0


@pytest.mark.usefixtures("store")
def test_norms_that_are_estimated_are_a_part_of_the_forecast(digits_folder: Path, small_recipe: Recipe) -> None:
    _, forecast = forecast_run(digits_folder, changed(small_recipe, model={"weights": "none"}))
    assert forecast.seconds["adapt"] > 0


def test_the_first_batch_counts_once_and_later_ones_by_the_share_that_is_full() -> None:
    pace = TrunkPace(32, first=(2.0, 1.0), later=(0.1, 0.5))

    class Images:
        views = range(2)

        def __init__(self, count: int) -> None:
            self.count = count

        def __len__(self) -> int:
            return self.count

    assert pace.seconds(Images(40)) == pytest.approx((2.0 + 1.5 * 0.1, 1.0 + 1.5 * 0.5))  # type: ignore[arg-type]
    assert pace.seconds(Images(4)) == pytest.approx((0.5, 0.25))  # type: ignore[arg-type]


class Numbers:
    """A source of three images, each a number."""

    targets, views = torch.tensor([0, 1, 2]), 1

    def batches(self, order: Sequence[int], views: Sequence[int], batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(order), batch_size):
            chosen = torch.tensor(order[start : start + batch_size])
            yield (self.targets[chosen].float(),), self.targets[chosen]


def test_a_sample_stands_for_a_larger_part_until_its_time_is_over() -> None:
    wanted = torch.zeros(100, dtype=torch.long)

    def seen(seconds: float) -> Tensor:
        source = TimedSource(Numbers(), wanted, seconds)
        handed = torch.cat([targets for _, targets in source.batches(range(100), [0] * 100, 4)])
        pace = source.pace()
        assert isinstance(pace, TailPace)
        assert pace.seconds(100) > pace.seconds(50) > 0
        return handed

    assert torch.equal(seen(60.0), torch.arange(100) % 3)
    assert len(seen(0.0)) == 3 * 4


def run_command(arguments: list[str], cache: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "finetune", *arguments],
        env=os.environ | {"TAILTUNE_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.exists(), reason="needs ../shared with the real sets and the Lite0 weights")
@pytest.mark.parametrize("name", ["hymenoptera", "chest_xray_pneumonia"])
def test_predicted_seconds_are_within_a_factor_of_a_real_run(name: str, tmp_path: Path) -> None:
    """One pair of plan and run may meet a machine that changes its load between them: the better of two counts."""
    data = SHARED / "data" / name
    options = ["--weights", str(WEIGHTS)]
    if name == "chest_xray_pneumonia":
        options += ["--metadata", str(data / "metadata.csv"), "--group", "patient", "--resplit"]
    ratios = []
    for attempt in range(2):
        cache, out = tmp_path / f"cache-{attempt}", tmp_path / f"run-{attempt}"
        plan = run_command(["plan", "tf_efficientnet_lite0", "--data", str(data), "--json", *options], cache)
        model = ["--model", "tf_efficientnet_lite0"]
        run_command(["run", str(data), *model, "--out", str(out), *options], cache)
        forecast = json.loads(plan)["forecast"]
        assert forecast["store"]["bytes"] == sum(stored_bytes(cache))
        ratios.append(compare(forecast, json.loads((out / "timings.json").read_text())))
        if all(1 / 1.5 <= ratio <= 1.5 for ratio in ratios[-1].values()):
            return
    pytest.fail(f"predicted over measured seconds: {ratios}")


def compare(forecast: dict, measured: dict) -> dict[str, float]:
    """Predicted over measured seconds, for as many epochs as the run has had."""
    seconds = forecast["seconds"]
    tail = forecast["tail_epoch_seconds"] * measured["epochs"]
    return {
        "decode and trunk": (seconds["decode"] + seconds["trunk"]) / (measured["decode"] + measured["trunk"]),
        "tail": tail / measured["tail"],
        "total": (seconds["total"] - seconds["tail"] + tail) / measured["total"],
    }


def test_a_forecast_is_plain_json(digits_folder: Path, small_recipe: Recipe, store: Path) -> None:
    _, forecast = forecast_run(digits_folder, small_recipe)
    assert isinstance(forecast, Forecast)
    content = json.loads(json.dumps(forecast.as_json(), allow_nan=False))
    assert set(content) == {
        *("images", "epochs", "patience", "seconds", "tail_epoch_seconds"),
        *("store", "pixels", "memory", "calibration_seconds"),
    }
    assert content["store"]["bytes"] == sum(row["bytes"] for row in content["store"]["parts"])
    assert [entry.name for entry in store.iterdir()] == ["pixels"]
    assert forecast.pixel_bytes == sum(file.stat().st_size for file in store.glob("pixels/*/*.[ip]*")) > 0
