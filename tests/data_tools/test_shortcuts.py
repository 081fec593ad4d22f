"""What gives labels away is flagged; what does not, is not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_tools import DatasetSettings, prepare_dataset
from data_tools.samples import Probe
from data_tools.shortcuts import _judge, find_shortcuts
from data_tools.sketches import make_sketch

SEEDS = 20
EACH = 40


def write_folder(folder: Path, seed: int, told_by: str = "") -> Path:
    """Two classes of noise in random sizes, modes and levels; `told_by` makes one of these depend on the class."""
    generator = np.random.default_rng(seed)
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(EACH):
            is_dog = label == "dog"
            low, high = (40, 60) if told_by == "picture size" and is_dog else (24, 44)
            width, height = generator.integers(low, high, 2)
            pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
            if told_by == "border" and is_dog:
                pixels[:3], pixels[-3:] = 0, 0
            image = Image.fromarray(pixels)
            is_grey = is_dog if told_by == "file format and colour mode" else generator.random() < 0.5
            quality = int(generator.integers(60, 90)) - (40 if told_by == "file size" and is_dog else 0)
            image = image.convert("L") if is_grey else image
            image.save(folder / label / f"{number}.jpg", quality=quality)
    return folder


def cues(folder: Path) -> set[str]:
    findings = prepare_dataset(folder, DatasetSettings(), is_audit=True).findings
    found = findings[findings["check"] == "shortcut"]["detail"]
    return {detail.split("told from ")[1].split(" alone")[0] for detail in found}


@pytest.mark.parametrize("cue", ["picture size", "border", "file format and colour mode", "file size"])
def test_a_label_that_one_cue_tells_is_flagged(tmp_path: Path, cue: str) -> None:
    assert cue in cues(write_folder(tmp_path / "data", 0, cue))


def test_picture_size_is_flagged_for_every_seed_and_chance_is_not(tmp_path: Path) -> None:
    alarms = []
    for seed in range(SEEDS):
        assert "picture size" in cues(write_folder(tmp_path / f"told{seed}", seed, "picture size"))
        alarms += [(seed, cue) for cue in cues(write_folder(tmp_path / f"chance{seed}", seed))]
    assert len(alarms) <= 1, alarms


def probe(number: int, width: int) -> Probe:
    pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Probe(str(number), width, 100, "RGB", "JPEG", bytes=1000, sketch=make_sketch(pixels))


def test_many_images_of_few_groups_are_no_proof() -> None:
    # Of each of 8 patients 30 images: every patient has a size of their own, so by image the sizes tell the classes.
    units = [patient for patient in range(8) for _ in range(30)]
    labels = ["ab"[patient % 2] for patient in units]
    probes = [probe(number, 100 + 10 * patient) for number, patient in enumerate(units)]
    assert find_shortcuts(labels, units, probes) == []
    alone = find_shortcuts(labels, list(range(len(units))), probes)
    assert [found.cue for found in alone] == ["picture size"]


def test_classes_too_small_for_folds_say_nothing() -> None:
    labels = ["a"] * 30 + ["b"] * 4
    probes = [probe(number, 100 if number < 30 else 200) for number in range(34)]
    assert find_shortcuts(labels, list(range(34)), probes) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_the_deviation_is_that_of_labels_dealt_anew(seed: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(classes).repeat(8), generator.integers(0, classes, 40)])
    predicted = generator.integers(0, classes, len(targets))
    predicted[:classes] = np.arange(classes)
    score, deviations = _judge(targets, predicted)
    dealt = [_judge(generator.permutation(targets), predicted)[0] for _ in range(2000)]
    expected = (score - np.mean(dealt)) / np.std(dealt)
    assert np.mean(dealt) == pytest.approx(1 / classes, abs=0.01)
    assert deviations == pytest.approx(expected, abs=0.25 + 0.1 * abs(expected))
