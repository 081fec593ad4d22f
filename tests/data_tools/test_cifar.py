"""CIFAR-10's batches become images with classes and splits; nothing in them is ever run."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data_tools import DataError, DatasetSettings, prepare_dataset, read_image
from data_tools.cifar import read_batch
from finetune.cli.main import main

LABELS = ("airplane", "automobile", "bird")
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
IMAGES = 6


def text(value: str) -> bytes:
    """A text of Python 2."""
    return b"U" + struct.pack("<B", len(value)) + value.encode()


def array(values: NDArray[np.uint8]) -> bytes:
    """An array as numpy of Python 2 pickled it, opcode by opcode."""
    rows, columns = values.shape
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + text("b") + b"tR(K\x01"
    made += b"J" + struct.pack("<i", rows) + b"J" + struct.pack("<i", columns) + b"\x86"
    made += b"cnumpy\ndtype\n(" + text("u1") + b"K\x00K\x01tR(K\x03" + text("|") + b"NNN" + 2 * b"J\xff\xff\xff\xff"
    made += b"K\x00tb\x89T" + struct.pack("<i", values.size) + values.tobytes() + b"tb"
    return made


def numbers(values: list[int]) -> bytes:
    return b"](" + b"".join(b"K" + bytes([value]) for value in values) + b"e"


def table(**entries: bytes) -> bytes:
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."


def pixels(name: str) -> NDArray[np.uint8]:
    """(images, 3 x 32 x 32), as the set has them."""
    seed = BATCHES.index(name)
    return np.random.default_rng(seed).integers(0, 256, (IMAGES, 3072), dtype=np.uint8)


@pytest.fixture
def batches(tmp_path: Path) -> Path:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = b"](" + b"".join(text(label) for label in LABELS) + b"e"
    (folder / "batches.meta").write_bytes(table(num_cases_per_batch=b"K\x06", label_names=names))
    for name in BATCHES:
        labels = [number % len(LABELS) for number in range(IMAGES)]
        (folder / name).write_bytes(table(data=array(pixels(name)), labels=numbers(labels)))
    (folder / "readme.html").write_text("about")
    return folder


def test_what_is_written_here_is_what_numpy_reads(batches: Path) -> None:
    content = pickle.loads((batches / "test_batch").read_bytes(), encoding="bytes")
    assert np.array_equal(content[b"data"], pixels("test_batch"))
    assert np.array_equal(read_batch(batches / "test_batch")["data"], pixels("test_batch"))


def test_batches_are_a_dataset_with_splits_and_the_classes_of_the_set(batches: Path) -> None:
    made = prepare_dataset(batches, DatasetSettings(val_fraction=0.2))
    assert made.labels == LABELS
    assert len(made.part("test")) == IMAGES
    assert len(made.part("train")) + len(made.part("val")) == 5 * IMAGES
    [note] = [row.detail for row in made.findings.itertuples() if "written as PNG" in str(row.detail)]
    assert note.startswith("the images of cifar-10-batches-py are read from cifar-10-batches-py-png beside it")


def test_every_pixel_and_colour_is_where_it_was(batches: Path) -> None:
    made = prepare_dataset(batches, DatasetSettings())
    for name in BATCHES:
        split = "test" if name == "test_batch" else "train"
        for number, row in enumerate(pixels(name)):
            path = made.root / split / LABELS[number % len(LABELS)] / f"{name}-{number:05d}.png"
            assert np.array_equal(read_image(path), row.reshape(3, 32, 32).transpose(1, 2, 0))


def test_images_are_written_once_and_the_table_is_the_same_again(batches: Path) -> None:
    first = prepare_dataset(batches, DatasetSettings())
    times = {file: file.stat().st_mtime_ns for file in first.root.rglob("*.png")}
    again = prepare_dataset(batches, DatasetSettings())
    assert {file: file.stat().st_mtime_ns for file in again.root.rglob("*.png")} == times
    assert len(times) == 6 * IMAGES
    assert again.table.equals(first.table)
    assert again.findings.equals(first.findings)
    assert sorted(entry.name for entry in batches.parent.iterdir()) == [batches.name, f"{batches.name}-png"]
    assert first.root.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x80\x02cposix\nsystem\nU\x04true\x85R.", r"it names posix\.system"),
        (b"\x80\x02cbuiltins\neval\nU\x01x\x85R.", r"it names builtins\.eval"),
        (b"\x80\x02cnumpy\nload\nU\x01x\x85R.", r"it names numpy\.load"),
        (b"\x80\x02}(U\x04data", "is no file of CIFAR-10"),
        (b"", "is no file of CIFAR-10"),
        (b"<html>not found</html>", "is no file of CIFAR-10"),
        (b"\x80\x02](K\x01e.", "is no file of CIFAR-10"),
        (table(data=b"N", labels=numbers([0])), "holds no images with a label each"),
        (table(data=array(np.zeros((1, 12), np.uint8)), labels=numbers([0])), r"other images or labels.*\(1, 12\)"),
        (table(data=array(np.zeros((1, 3072), np.uint8)), labels=numbers([7])), r"other images or labels.*\[7\]"),
        (
            table(data=array(np.zeros((1, 3072), np.uint8)).replace(b"u1", b"O8"), labels=numbers([0])),
            "not one of bytes",
        ),
    ],
)
def test_a_batch_that_is_anything_else_is_refused_and_nothing_is_left(
    batches: Path, content: bytes, words: str
) -> None:
    (batches / "data_batch_3").write_bytes(content)
    with pytest.raises(DataError, match=words):
        prepare_dataset(batches, DatasetSettings())
    assert [entry.name for entry in batches.parent.iterdir()] == [batches.name]


def test_class_names_that_would_lead_elsewhere_are_refused(batches: Path) -> None:
    names = b"](" + text("../up") + text("bird") + b"e"
    (batches / "batches.meta").write_bytes(table(label_names=names))
    with pytest.raises(DataError, match="does not name the classes"):
        prepare_dataset(batches, DatasetSettings())


def test_a_folder_that_lacks_a_batch_is_a_folder_like_any_other(batches: Path) -> None:
    (batches / "data_batch_5").unlink()
    with pytest.raises(DataError, match="holds no class folders"):
        prepare_dataset(batches, DatasetSettings())


def test_the_recipe_small_images_runs_on_it_as_it_is(
    batches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--recipe", "small-images", "--model", "test_resnet", "--epochs", "1", "--workers", "0"]
    with pytest.raises(SystemExit) as stop:
        main(["run", str(batches), *options, "--out", str(tmp_path / "run")])
    assert stop.value.code == 0, capsys.readouterr().err
    assert len((tmp_path / "run" / "predictions.csv").read_text().splitlines()) > IMAGES
