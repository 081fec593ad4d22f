"""A run that is stopped anywhere and resumed ends in the bytes of the run in one go."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

import finetune
from finetune.checkpoint import CheckpointFolder
from finetune.errors import InputError
from finetune.interrupts import Interrupted
from recipes import Recipe, load_recipe
from tests.finetune.jobs.stopping import StopAt

SAME_BYTES = (
    *("recipe.yaml", "dataset.csv", "findings.csv", "freeze.json", "predictions.csv"),
    *("report.txt", "report.csv", "report.json", "report.md"),
    *("model/config.json", "model/model.safetensors", "model/README.md"),
)
SHARED = Path(__file__).parents[4] / "shared"


def assert_same(one: Path, other: Path) -> None:
    for name in SAME_BYTES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    tables = [pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in (one, other)]
    assert tables[0].equals(tables[1])


@pytest.fixture
def gradual(small_recipe: Recipe) -> Recipe:
    """Three phases of one, one and two epochs, with everything on that has a state of its own."""
    train = {"epochs": 4, "batch_size": 4, "average_decay": 0.9, "clip_norm": 1.0, "patience": None}
    return small_recipe.model_copy(
        update={
            "freeze": small_recipe.freeze.model_copy(update={"policy": "gradual"}),
            "train": small_recipe.train.model_copy(update=train),
            "head": small_recipe.head.model_copy(update={"dropout": 0.3}),
        }
    )


@pytest.mark.usefixtures("store")
def test_stopped_between_any_two_steps_and_resumed_it_ends_in_the_same_bytes(
    digits_folder: Path, gradual: Recipe, tmp_path: Path
) -> None:
    whole = finetune.run(digits_folder, gradual, tmp_path / "whole").folder
    assert list(pd.read_csv(whole / "history.csv")["phase"]) == [0, 0, 1, 2, 2]
    counter = StopAt(10**9)
    finetune.run(digits_folder, gradual, tmp_path / "counted", stop=counter)
    places = set()
    for share in (0.45, 0.6, 0.75, 0.9):
        out = tmp_path / f"stopped-{share}"
        with pytest.raises(Interrupted) as stop:
            finetune.run(digits_folder, gradual, out, stop=StopAt(int(share * counter.looks)))
        assert stop.value.exit_code == 143
        checkpoint, _ = CheckpointFolder(out / "checkpoints").load()
        if checkpoint is not None:
            places.add((checkpoint.state["epoch"], checkpoint.state["batches"]))
        finetune.run(digits_folder, gradual, out, resume=True)
        assert_same(whole, out)
    assert len(places) >= 3, places
    assert any(batches for _, batches in places)
    assert any(epoch >= 3 for epoch, _ in places)


def command(data: Path, recipe: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "finetune", "run", str(data), "--recipe", str(recipe), "--out", str(out), *more]


def kill_at(count: int, arguments: list[str], out: Path, number: signal.Signals) -> int:
    """Run, and send `number` as soon as checkpoint `count` is there (0: as soon as the run folder is)."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        numbers = CheckpointFolder(out / "checkpoints").numbers() if out.exists() else []
        if (out / "recipe.yaml").exists() and max(numbers, default=0) >= count:
            process.send_signal(number)
            break
        time.sleep(0.01)
    return process.wait()


def test_killed_between_and_inside_phases_it_resumes_to_the_same_bytes(
    digits_folder: Path, gradual: Recipe, tmp_path: Path, store: Path
) -> None:
    whole = finetune.run(digits_folder, gradual, tmp_path / "whole").folder
    out = tmp_path / "parts"
    for count in (0, 1, 2, 3):
        more = ["--resume"] if out.exists() else []
        assert kill_at(count, command(digits_folder, whole / "recipe.yaml", out, *more), out, signal.SIGKILL) == -9
    done = subprocess.run(
        command(digits_folder, whole / "recipe.yaml", out, "--resume"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Resumed after" in done.stdout
    assert_same(whole, out)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_its_code_and_a_word_on_how_to_go_on(
    digits_folder: Path, gradual: Recipe, tmp_path: Path, store: Path, number: signal.Signals, code: int
) -> None:
    recipe = tmp_path / "recipe.yaml"
    from recipes import dump_recipe

    recipe.write_text(dump_recipe(gradual))
    assert kill_at(1, command(digits_folder, recipe, tmp_path / "run"), tmp_path / "run", number) == code


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared: hymenoptera and Lite0 weights")
def test_gradual_on_hymenoptera_survives_kills(tmp_path: Path) -> None:
    weights = SHARED / "weights" / "tf_efficientnet_lite0.safetensors"
    overrides = {"model.name": "tf_efficientnet_lite0", "model.weights": str(weights), "train.epochs": 5}
    from recipes import dump_recipe

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(dump_recipe(load_recipe("gradual", overrides)))
    data, environment = SHARED / "data" / "hymenoptera", os.environ | {"TAILTUNE_CACHE": str(tmp_path / "store")}
    os.environ.update(environment)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    subprocess.run(command(data, recipe, whole), check=True)
    for count in (1, 2, 3):
        more = ["--resume"] if parts.exists() else []
        assert kill_at(count, command(data, recipe, parts, *more), parts, signal.SIGKILL) == -9
    subprocess.run(command(data, recipe, parts, "--resume"), check=True)
    assert_same(whole, parts)


def test_resume_refuses_what_is_another_run(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, store: Path
) -> None:
    with pytest.raises(InputError, match="holds no run"):
        finetune.run(digits_folder, small_recipe, tmp_path / "run", resume=True)
    finetune.run(digits_folder, small_recipe, tmp_path / "run")
    other = small_recipe.model_copy(update={"train": small_recipe.train.model_copy(update={"epochs": 3})})
    with pytest.raises(InputError, match=r"was epochs: 2; is epochs: 3"):
        finetune.run(digits_folder, other, tmp_path / "run", resume=True)
    with pytest.raises(InputError, match="give one of them"):
        finetune.run(digits_folder, small_recipe, tmp_path / "run", resume=True, overwrite=True)


@pytest.mark.usefixtures("store")
def test_a_run_that_is_over_is_resumed_to_itself(digits_folder: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    first = finetune.run(digits_folder, small_recipe, tmp_path / "first").folder
    finetune.run(digits_folder, small_recipe, tmp_path / "again")
    assert_same(first, finetune.run(digits_folder, small_recipe, tmp_path / "again", resume=True).folder)


def test_two_processes_cannot_write_one_run(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, store: Path
) -> None:
    finetune.run(digits_folder, small_recipe, tmp_path / "run")
    with FileLock(tmp_path / "run" / "checkpoints" / ".lock"), pytest.raises(InputError, match="another process"):
        finetune.run(digits_folder, small_recipe, tmp_path / "run", resume=True)
