"""Throw odd manifests, folders and image files at the readers until time is up, and count what was thrown.

    python -m benchmarks.fuzzing --minutes 10

A finding is any error but DataError, an input that takes more than SECONDS, or a process that dies. Images are
mutated copies of small files of every format, DICOM as it is and run-length encoded among them, read in children.
"""

import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from data_tools import DataError, DatasetSettings, prepare_dataset
from data_tools.manifest import read_manifest

SECONDS = 5.0
"""No input of some kilobytes may take longer."""
_ROUND = 200
"""Inputs between two looks at the clock."""

_WORDS = ["path", "label", "group", "split", "train", "test", "trian", "a/1.png", "./a/1.png", "A/1.PNG", "../x", "cat"]
_SIGNS = [
    ",",
    ";",
    "\t",
    "\n",
    "\r\n",
    '"',
    '""',
    "\0",
    "\ufeff",
    " ",
    "|",
    "=1+1",
    "caf\u00e9",
    "cafe\u0301",
    "\u202e",
]
_NAMES = [
    *["train", "val", "test", "Train", "TESTING", "cat", "Cat", "cat ", "dog", ".git", "__MACOSX", "Thumbs.db", "._x"],
    *["1.png", "2.PNG", "x.jpg", "y.dcm", "z.tif", "9.jpg", "-rf.png", "a\nb.png", "a\tb", "\u202e.png", "e\u0301.png"],
    *["n" * 200, "readme.txt", "metadata.csv", "x.heic", "noext", "..png", "%s.png", "<b>.png"],
]
_KINDS = ["folder", "picture", "text", "empty", "link up", "link self", "link away", "pipe", "locked"]

_ROWS = st.tuples(
    st.sampled_from(["a/1.png", "A/1.PNG", "./a/1.png", "a//1.png", '"a/1.png"', "a\\1.png", "a/1.png "]),
    st.sampled_from(["cat", "dog", "cat ", "007", "NA", "", "caf\u00e9", "cafe\u0301", '"a\nb"', "<b>", "=1"]),
    st.sampled_from(["", "train", "Valid", "test", "trian", " test "]),
)
"""Rows that may well be sound."""

manifests = st.one_of(
    st.tuples(st.sampled_from(",;\t"), st.lists(_ROWS, min_size=1, max_size=4), st.booleans()).map(
        lambda table: "\n".join(
            [table[0].join(("path", "label", "split")[: 3 - table[2]])]
            + [table[0].join(row[: 3 - table[2]]) for row in table[1]]
        ).encode()
    ),
    st.binary(max_size=300),
    st.lists(st.sampled_from([*_WORDS, *_SIGNS]), max_size=40).map(lambda parts: "".join(parts).encode()),
    st.tuples(
        st.lists(st.sampled_from(_WORDS[:4]), min_size=1, max_size=4),
        st.lists(st.lists(st.sampled_from([*_WORDS[4:], *_SIGNS]), max_size=6), max_size=8),
    ).map(lambda table: "\n".join([",".join(table[0]), *map(",".join, table[1])]).encode()),
)
"""The bytes of a manifest."""
_SOUND = [([label, f"{number}.png"], "picture") for label in ("ant", "bee") for number in range(3)]
trees = st.tuples(
    st.sampled_from([[], _SOUND, [(["train", *parts], kind) for parts, kind in _SOUND]]),
    st.lists(
        st.tuples(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=4), st.sampled_from(_KINDS)), max_size=14
    ),
).map(lambda halves: [*halves[0], *halves[1]])
"""Entries of a folder: the parts of a path, and what stands there; two of three beside two sound classes."""


def read_odd_manifest(content: bytes) -> bool:
    """Read a manifest beside two pictures; whether it was accepted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a").mkdir()
        for picture in ("a/1.png", "A/1.PNG"):
            (folder / picture).parent.mkdir(exist_ok=True)
            (folder / picture).write_bytes(_PICTURE)
        (folder / "list.csv").write_bytes(content)
        with contextlib.suppress(DataError):
            read_manifest(folder / "list.csv")
            return True
    return False


def scan_odd_folder(entries: list[tuple[list[str], str]]) -> bool:
    """Prepare a dataset of a folder with these entries; whether it was accepted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for parts, kind in entries:
            with contextlib.suppress(OSError):  # the place is taken, or the name is too long
                _put(folder.joinpath(*parts), kind, folder)
        try:
            prepare_dataset(folder, DatasetSettings(), is_audit=True)
            return True
        except DataError:
            return False
        finally:
            for path in folder.rglob("*"):
                if path.is_dir() and not path.is_symlink():
                    path.chmod(0o700)


def _put(path: Path, kind: str, root: Path) -> None:
    if os.path.lexists(path):
        return  # to write to a pipe would wait for ever
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir(exist_ok=True)
    elif kind.startswith("link"):
        path.symlink_to({"link up": root, "link self": path, "link away": Path("/etc/hostname")}[kind])
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes({"picture": _PICTURE, "text": b"text", "empty": b"", "locked": _PICTURE}[kind])
        if kind == "locked":
            path.chmod(0)


def picture_files() -> dict[str, bytes]:
    """A small file of each format, by name; DICOM as it is and run-length encoded."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    pixels[:12] = 100
    image, made = Image.fromarray(pixels), {}
    kinds = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "bmp": "BMP", "webp": "WEBP", "tif": "TIFF", "ppm": "PPM"}
    for suffix, kind in {**kinds, "jp2": "JPEG2000", "avif": "AVIF"}.items():
        content = io.BytesIO()
        image.save(content, kind)
        made[f"plain.{suffix}"] = content.getvalue()
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0].astype(np.uint16) << 8).save(content, "TIFF", compression="tiff_lzw")
    made["deep.tif"] = content.getvalue()
    return made | _dicom_files(pixels[..., 0])


def _dicom_files(pixels: NDArray[np.uint8]) -> dict[str, bytes]:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage

    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    header.Rows, header.Columns = pixels.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation = 7, 0
    header.PixelData = pixels.tobytes()
    made = {}
    for name in ("raw", "rle"):
        if name == "rle":
            header.compress(RLELossless)
        content = io.BytesIO()
        header.save_as(content, enforce_file_format=True)
        made[f"{name}.dcm"] = content.getvalue()
    return made


def mutate(content: bytes, dice: random.Random) -> bytes:
    """A copy with some bytes changed, cut out or repeated."""
    made = bytearray(content)
    for _ in range(dice.choice([1, 1, 2, 4, 16])):
        place = dice.randrange(max(1, len(made)))
        how = dice.randrange(5)
        if how == 0:
            made[place : place + 1] = bytes([dice.randrange(256)])
        elif how == 1:
            made[place : place + 4] = dice.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\1"])
        elif how == 2:
            del made[place : place + dice.randrange(1, 40)]
        elif how == 3:
            made[place:place] = made[place : place + dice.randrange(1, 40)]
        else:
            del made[place:]
    return bytes(made)


def read_mutated(files: dict[str, bytes], count: int, seed: int) -> Counter[str]:
    """Read `count` mutated files, each in a child of 2 GiB and 10 s; raises AssertionError when one dies."""
    dice = random.Random(seed)
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for number in range(count):
            origin = dice.choice(sorted(files))
            path = Path(name) / f"{number}.{origin.rsplit('.', 1)[1]}"
            path.write_bytes(mutate(files[origin], dice))
            paths.append(str(path))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.reading_child"],
            input="\n".join(map(json.dumps, paths)),
            capture_output=True,
            text=True,
            check=True,
        )
        for line in done.stdout.splitlines():
            told = json.loads(line)
            assert not told["signal"], f"{told} (seed {seed}): {Path(told['path']).read_bytes().hex()}"
            outcomes["refused" if told["reason"] else "accepted"] += 1
    return outcomes


def throw(target: Callable[..., bool], inputs: st.SearchStrategy[object], count: int, outcomes: Counter[str]) -> None:
    """Call `target` with `count` inputs; raises what it raises."""

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(inputs)
    def try_one(thrown: object) -> None:
        started = time.perf_counter()
        outcomes["accepted" if target(thrown) else "refused"] += 1
        assert time.perf_counter() - started < SECONDS, thrown

    try_one()


def _until(ends: float) -> Iterator[int]:
    number = 0
    while time.monotonic() < ends:
        yield number
        number += 1


@click.command()
@click.option("--minutes", type=float, default=10.0, show_default=True, help="For each of the three targets.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the mutated images.")
def command(minutes: float, seed: int) -> None:
    """Fuzz the manifest reader, the folder scanner and the image reader."""
    pairs: list[tuple[str, Callable[..., bool], st.SearchStrategy[object]]] = [
        ("manifests", read_odd_manifest, manifests),
        ("folders", scan_odd_folder, trees),
    ]
    for name, target, inputs in pairs:
        outcomes: Counter[str] = Counter()
        for _ in _until(time.monotonic() + 60 * minutes):
            throw(target, inputs, _ROUND, outcomes)
        click.echo(f"{name}: {outcomes.total():,} inputs, {dict(outcomes)}, no finding")
    files, outcomes = picture_files(), Counter()
    for number in _until(time.monotonic() + 60 * minutes):
        outcomes += read_mutated(files, _ROUND, seed + number)
    click.echo(f"images: {outcomes.total():,} inputs, {dict(outcomes)}, no finding")


_buffer = io.BytesIO()
Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(_buffer, "PNG")
_PICTURE = _buffer.getvalue()

if __name__ == "__main__":
    command()
