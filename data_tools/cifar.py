"""CIFAR-10 as its authors pack it, and torchvision downloads it: pickled batches, read without running what is in them.

Source: https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky 2009): five batches for training and one for testing, a
row of 3,072 bytes an image: 32 x 32 red, then green, then blue.
"""

import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from os import getpid
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_tools.columns import NOTE, TEST, TRAIN
from data_tools.errors import DataError
from data_tools.private import make_private_folder
from data_tools.progress import Track, untracked
from data_tools.samples import Finding, Source
from data_tools.scanning import scan_folder

_META = "batches.meta"
_BATCHES = {**{f"data_batch_{number}": TRAIN for number in range(1, 6)}, "test_batch": TEST}
_SIDE = 32
_FAULTS = (
    *(pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError, KeyError, MemoryError),
    *(OverflowError, TypeError, ValueError),
)
"""What unpickling was seen to raise on broken files."""
_ADVICE = "Download and unpack CIFAR-10 (python version) again."


def holds_batches(folder: Path) -> bool:
    """Whether a folder looks like cifar-10-batches-py."""
    return all((folder / name).is_file() for name in (_META, *_BATCHES))


def scan_batches(folder: Path, *, is_held_out: bool = False, track: Track = untracked) -> Source:
    """Every image of the batches in `folder`, as a PNG file with its class and its split, train or test.

    The files lie beside `folder`, are written once, all or none, and found again. Raises DataError for batches that are
    broken or hold anything but arrays and text, and where nothing can be written there.
    """
    root = folder.resolve()
    images = root.with_name(f"{root.name}-png")
    if not images.is_dir():
        try:
            _write_images(root, images, track)
        except OSError as error:
            raise DataError(
                f"{folder.name}: its images cannot be written as files to {images}: {error.strerror or error}. "
                "Make room there, or move the folder to where you may write."
            ) from error
    source = scan_folder(images, is_held_out=is_held_out)
    text = f"the images of {root.name} are read from {images.name} beside it, where they were written as PNG files once"
    return replace(source, name=root.name, findings=(*source.findings, Finding("odd_file", NOTE, "", "", text)))


def read_batch(path: Path) -> dict[str, Any]:
    """The dictionary in a file of the set, with text keys; arrays are uint8 (rows, columns).

    Raises DataError for anything but dictionaries, lists, numbers, text and such arrays; none of it is run.
    """
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name}: cannot be opened: {error.strerror or error}") from error
    try:
        content = _Reader(BytesIO(packed), encoding="bytes").load()
        return {_text(key): _as_array(value) for key, value in dict(content).items()}
    except _FAULTS as error:
        raise DataError(
            f"{path.name} is no file of CIFAR-10, and nothing in it was run ({error}). {_ADVICE}"
        ) from error


def _write_images(folder: Path, images: Path, track: Track) -> None:
    labels = _read_labels(folder)
    aside = images.with_name(f".{images.name}.{getpid()}.tmp")
    try:
        for split in (TRAIN, TEST):
            for label in labels:
                make_private_folder(aside / split / label)
        for name in track(_BATCHES, "images of CIFAR-10", len(_BATCHES)):
            pixels, targets = _read_images(folder / name, len(labels))
            for number, (picture, target) in enumerate(zip(pixels, targets, strict=True)):
                place = aside / _BATCHES[name] / labels[target]
                Image.fromarray(picture).save(place / f"{name}-{number:05d}.png")
        aside.rename(images)
    except OSError:
        if not images.is_dir():  # else another run has just done the same
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _read_labels(folder: Path) -> list[str]:
    named = read_batch(folder / _META).get("label_names")
    labels = [_text(name) for name in named] if isinstance(named, list) else []
    if len(labels) < 2 or len(set(labels)) < len(labels) or not all(label.isalnum() for label in labels):
        raise DataError(f"{_META} does not name the classes (label_names), each in letters and once. {_ADVICE}")
    return labels


def _read_images(path: Path, classes: int) -> tuple[NDArray[np.uint8], list[int]]:
    """uint8 (images, height, width, 3), and the class of each by number."""
    batch = read_batch(path)
    rows, targets = batch.get("data"), batch.get("labels")
    if not isinstance(rows, np.ndarray) or not isinstance(targets, list) or len(targets) != len(rows):
        raise DataError(f"{path.name} holds no images with a label each (data, labels). {_ADVICE}")
    wrong = [target for target in targets if type(target) is not int or not 0 <= target < classes]
    if wrong or rows.shape[1:] != (3 * _SIDE * _SIDE,):
        raise DataError(f"{path.name} holds other images or labels than CIFAR-10: {rows.shape}, {wrong[:1]}. {_ADVICE}")
    return rows.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1).copy(), targets


class _Reader(pickle.Unpickler):
    """Knows what an array is made of by name alone, and calls nothing of numpy or of anything else."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """A stand-in of our own, for the three names that an array is pickled with."""
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return lambda *_: _Array()
        if module == "numpy" and name in ("ndarray", "dtype"):
            return lambda code, *_: _Kind(code)
        raise pickle.UnpicklingError(f"it names {module}.{name}")


class _Kind:
    """The type of an array's values, by its code."""

    def __init__(self, code: object) -> None:
        self.code = _text(code)

    def __setstate__(self, state: object) -> None:
        """Byte order and the like, which bytes do not have."""


class _Array:
    """An array as it is pickled: version, shape, type, whether it is in Fortran's order, and bytes."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Taken as it is; looked at once all is read."""
        self.state = state


def _as_array(value: object) -> object:
    if not isinstance(value, _Array):
        return value
    _, shape, kind, is_fortran, content = value.state
    if not isinstance(kind, _Kind) or kind.code != "u1" or not isinstance(content, bytes):
        raise ValueError("its array is not one of bytes")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if is_fortran else "C")


def _text(value: object) -> str:
    """Text as Python 2 wrote it, or Python 3."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
