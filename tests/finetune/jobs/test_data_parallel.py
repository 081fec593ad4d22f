"""Two processes of torchrun train what one process trains, on images that are dealt out between them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from finetune.backbones.weights import read_embedded_weights

TOGETHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
FINETUNE = Path(sys.executable).with_name("finetune")
OPTIONS = [
    *("--model", "tf_efficientnet_lite0", "--weights", "embedded", "--image-size", "64", "--device", "cpu"),
    *("--precision", "fp64", "--batch-size", "6", "--workers", "0", "--set", "augment.views=2"),
    *("--set", "train.patience=null", "--set", "train.clip_norm=1.0", "--set", "head.start=drawn"),
]


def command(data: Path, out: Path, *more: str) -> list[str]:
    return [str(FINETUNE), "run", str(data), "--out", str(out), *OPTIONS, *more]


def environment(store: Path) -> dict[str, str]:
    return {**os.environ, "TAILTUNE_CACHE": str(store), "OMP_NUM_THREADS": "1"}


def run(arguments: list[str], store: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, env=environment(store), capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def folders(digits_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same run by one process and by two, with a store each; 6 images a step, the last step has fewer."""
    root = tmp_path_factory.mktemp("together")
    alone = run(command(digits_folder, root / "alone", "--epochs", "2"), root / "store alone")
    assert alone.returncode == 0, alone.stderr
    two = run([sys.executable, *TOGETHER, *command(digits_folder, root / "two", "--epochs", "2")], root / "store two")
    assert two.returncode == 0, two.stderr
    (root / "two.out").write_text(two.stdout)
    return {name: root / name for name in ("alone", "two", "store two", "two.out")}


def test_two_processes_train_the_tail_of_one(folders: dict[str, Path]) -> None:
    """To 1e-5 in float64; float32 would hide a wrong mean of gradients behind its rounding."""
    alone, two = (load_file(folders[name] / "model" / "model.safetensors") for name in ("alone", "two"))
    assert alone.keys() == two.keys()
    assert {alone[name].dtype for name in alone if name.endswith("weight")} == {np.dtype(np.float64)}
    began = {name: tensor.numpy() for name, tensor in read_embedded_weights("tf_efficientnet_lite0").items()}
    tail = [name for name in alone if name.startswith(("blocks.5", "blocks.6", "conv_head"))]
    assert sum(not np.allclose(began[name], alone[name], rtol=1e-3) for name in tail) > 10
    for name in alone:
        np.testing.assert_allclose(two[name], alone[name], rtol=1e-5, atol=1e-9, err_msg=name)
    tables = [pd.read_csv(folders[name] / "history.csv").drop(columns="seconds") for name in ("alone", "two")]
    pd.testing.assert_frame_equal(*tables, rtol=1e-5)


def test_each_image_is_predicted_once(folders: dict[str, Path]) -> None:
    alone, two = (pd.read_csv(folders[name] / "predictions.csv") for name in ("alone", "two"))
    assert list(two["path"]) == list(alone["path"])
    assert two["path"].is_unique
    scores = [column for column in alone if column.startswith("score_")]
    np.testing.assert_allclose(two[scores], alone[scores], rtol=1e-5, atol=1e-9)


def test_each_process_runs_the_trunk_on_its_own_images(folders: dict[str, Path]) -> None:
    """Six entries in the store: train, val and test, each in two halves, whose sizes differ by one at most."""
    entries = [json.loads(path.read_text()) for path in folders["store two"].glob("features/*/about.json")]
    sizes = sorted(entry["shapes"][0][0] for entry in entries)
    parts = pd.read_csv(folders["two"] / "dataset.csv")["split"].value_counts()
    halves = sorted(half for images in parts for half in (images // 2, images - images // 2))
    assert sizes == halves


def test_one_process_speaks_for_both(folders: dict[str, Path]) -> None:
    said = folders["two.out"].read_text()
    assert said.count("Report:") == 1
    assert said.count("Freeze verified") == 1
    assert json.loads((folders["two"] / "environment.json").read_text())["processes"] == 2


@pytest.mark.slow
def test_both_stopped_and_resumed_end_in_the_same_bytes(digits_folder: Path, tmp_path: Path) -> None:
    """torchrun hands the signal on to both; what was saved serves both."""
    store, out = tmp_path / "store", tmp_path / "out"
    whole = run([sys.executable, *TOGETHER, *command(digits_folder, tmp_path / "whole", "--epochs", "30")], store)
    assert whole.returncode == 0, whole.stderr
    started = [sys.executable, *TOGETHER, *command(digits_folder, out, "--epochs", "30")]
    process = subprocess.Popen(started, env=environment(store), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while not list((out / "checkpoints").glob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert not (out / "report.json").exists()
    resumed = run([*started, "--resume"], store)
    assert resumed.returncode == 0, resumed.stderr
    for name in ("model/model.safetensors", "predictions.csv", "report.json", "recipe.yaml"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_fault_of_the_data_is_told_once(tmp_path: Path) -> None:
    failed = run([sys.executable, *TOGETHER, *command(tmp_path / "nothing", tmp_path / "out")], tmp_path / "store")
    assert failed.returncode != 0
    own = failed.stderr.partition("torch/distributed")[0]  # what torchrun says of it comes later
    assert own.count("DataError") == 1
    assert "Traceback" not in own


@pytest.mark.parametrize("name", ["cv", "plan", "report"])
def test_other_commands_say_that_they_share_no_work(name: str, tmp_path: Path) -> None:
    started = {**environment(tmp_path), "WORLD_SIZE": "2", "RANK": "0"}
    told = subprocess.run([FINETUNE, name, "."], env=started, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert f"call `finetune {name}` without it" in told.stderr
