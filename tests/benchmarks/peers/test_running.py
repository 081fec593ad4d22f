"""Running tools for real, at a tiny size, and scoring what they leave."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.peers.drawn import drawn_weights
from benchmarks.peers.errors import PeerError
from benchmarks.peers.jobs import Job, Variant
from benchmarks.peers.running import ROOT, Places, run_job, score_predictions
from benchmarks.peers.running_peer import peer_facts
from benchmarks.peers.tools.freezing import FIRST_THREE, is_frozen
from benchmarks.peers.tools.task import Row
from finetune.backbones import load_backbone
from finetune.evaluation import read_predictions
from finetune.freezing import parse_policy, plan_freeze
from finetune.reporting import rebuild_report

BENCH_PYTHON = ROOT / ".bench-env" / "bin" / "python"
PYTHON = str(BENCH_PYTHON) if BENCH_PYTHON.exists() else sys.executable


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits 0 and 1: 24 to train on, 12 to test."""
    folder = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    rows = [("path", "label", "group", "split")]
    for label in (0, 1):
        for place, number in enumerate(np.flatnonzero(digits.target == label)[:18]):
            pixels = (digits.images[number] * 255 / 16).round().astype(np.uint8)
            Image.fromarray(pixels).resize((64, 64)).save(folder / f"{label}-{place}.png")
            split = "train" if place < 12 else "test"
            rows.append((f"{label}-{place}.png", f"digit {label}", f"{label}-{place}", split))
    with (folder / "cut-0.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "cut-0.csv"


@pytest.mark.parametrize("tool", ["plain", pytest.param("script", marks=pytest.mark.slow)])
def test_a_tool_leaves_predictions_that_our_report_reads(tool: str, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [PYTHON, "-m", f"benchmarks.peers.tools.{tool}", "--manifest", str(manifest), "--out", str(out)]
    command += ["--image-size", "64", "--epochs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = read_predictions(out / "predictions.csv")
    assert list(table.columns) == [*("path", "label", "group", "split", "predicted"), "score_digit 0", "score_digit 1"]
    assert len(table) == 12
    assert table[["score_digit 0", "score_digit 1"]].sum(axis=1).to_list() == pytest.approx([1.0] * 12, abs=1e-5)
    assert rebuild_report(out / "predictions.csv")[1].labels == ("digit 0", "digit 1")
    facts = peer_facts(out)
    assert (facts.epochs, facts.views) == {"script": (0, 1), "plain": (1, 1)}[tool]
    assert {"torch", "timm"} <= facts.versions.keys()


@pytest.mark.parametrize("model", FIRST_THREE)
@pytest.mark.parametrize("policy", ["first-three", "head-only", "full"])
def test_a_policy_freezes_the_same_parameters_for_peers_as_for_us(model: str, policy: str) -> None:
    backbone = load_backbone(model, "none", 3)
    learning = {name for name, _ in backbone.model.named_parameters() if not is_frozen(name, model, policy)}
    assert learning == plan_freeze(backbone, parse_policy(policy)).trainable_parameters


def write_predictions(path: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split", "predicted"), *rows])
    return path


def test_balanced_accuracy_is_over_the_test_images_of_the_cut(tmp_path: Path) -> None:
    cut = [Row(f"{n}.png", "a" if n < 4 else "b", "", "test") for n in range(6)] + [Row("t.png", "a", "", "train")]
    rows = [(f"{n}.png", "a" if n < 4 else "b", "test", "a") for n in range(6)]
    extra = [("t.png", "a", "val", "b")]
    assert score_predictions(write_predictions(tmp_path / "p.csv", rows + extra), cut) == 0.5
    with pytest.raises(PeerError, match="holds 5 test images, not the 6 of the cut"):
        score_predictions(write_predictions(tmp_path / "p.csv", rows[:5]), cut)
    swapped = [("0.png", "b", "test", "a"), *rows[1:]]
    with pytest.raises(PeerError, match="test images, not the"):
        score_predictions(write_predictions(tmp_path / "p.csv", swapped), cut)


@pytest.fixture
def small_sets(tmp_path: Path) -> Path:
    """`brain_mri_yesno` with twelve plain images a class."""
    for label, shade in (("no", 20), ("yes", 200)):
        folder = tmp_path / "data" / "brain_mri_yesno" / label
        folder.mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (40, 40), (shade, number * 9, 0)).save(folder / f"{number}.png")
    return tmp_path / "data"


def test_drawn_weights_are_whole_the_same_again_and_keep_maps_in_bounds(tmp_path: Path) -> None:
    files = [drawn_weights("resnet18", tmp_path / name) for name in ("one", "other")]
    assert files[0].read_bytes() == files[1].read_bytes()
    changed = files[0].stat().st_mtime_ns
    assert drawn_weights("resnet18", tmp_path / "one").stat().st_mtime_ns == changed
    model = load_backbone("resnet18", str(files[0]), 3).model.eval()
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert 0.1 < float(model.forward_features(images).std()) < 10


@pytest.mark.slow
def test_a_job_is_timed_and_told_whole(small_sets: Path, tmp_path: Path) -> None:
    places = Places(small_sets, drawn_weights("resnet18", tmp_path), tmp_path / "work", Path(PYTHON))
    job = Job("brain_mri_yesno", "script", 1, Variant("resnet18", is_pretrained=False))
    result = run_job(job, places)
    assert result.job == job
    assert (result.train_images, result.test_images, result.views) == (16, 8, 1)
    assert 0 < result.start_up_seconds < result.wall_seconds
    assert 0 <= result.balanced_accuracy <= 1
    kept = tmp_path / "work" / "runs" / job.folder / "out" / "settings.json"
    assert json.loads(kept.read_text())["versions"] == result.versions


def test_a_tool_that_fails_is_told_with_the_end_of_its_log(small_sets: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\ncase $3 in --imports-only) ;; *) echo no memory left; exit 3;; esac\n")
    python.chmod(0o755)
    with pytest.raises(PeerError, match=r"exit code 3 of: (?s:.*)no memory left\nThe whole log: "):
        run_job(
            Job("brain_mri_yesno", "script", 0),
            Places(small_sets, Path("weights.safetensors"), tmp_path / "work", python),
        )


def test_threads_are_the_machines_own_and_no_hub_is_asked(
    small_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho threads=${OMP_NUM_THREADS-unset} offline=$HF_HUB_OFFLINE\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(PeerError, match="threads=unset offline=1"):
        run_job(
            Job("brain_mri_yesno", "plain", 0),
            Places(small_sets, Path("weights.safetensors"), tmp_path / "work", python),
        )


def test_without_their_environment_the_peers_are_not_run(small_sets: Path, tmp_path: Path) -> None:
    places = Places(small_sets, Path("weights.safetensors"), tmp_path / "work", tmp_path / "nowhere" / "python")
    with pytest.raises(PeerError, match="is not there; make the peers' environment with: make bench-env"):
        run_job(Job("brain_mri_yesno", "plain", 0), places)
