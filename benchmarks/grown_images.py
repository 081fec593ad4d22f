"""Sets of any number of images, made from real ones: repeated under new names, no two files equal."""

import os
import shutil
from collections.abc import Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import click
import numpy as np
from PIL import Image

from data_tools import DatasetSettings, prepare_dataset

QUALITY = 90
STAMP = 8
"""Side, in pixels, of the square of noise in the upper left corner that tells each image from all others."""


def grow_images(source: Path, counts: Sequence[int], folder: Path) -> dict[int, Path]:
    """A folder of class folders for each of `counts`, below `folder`; the smaller sets are parts of the larger ones.

    Each image is a real one of `source`, at its own size, turned round its vertical edge by some columns, stamped,
    and saved as JPEG. The same arguments give the same bytes; what is there already is kept.
    """
    sets = {count: folder / f"{source.resolve().name}-{count}" for count in sorted(counts, reverse=True)}
    largest, *others = sets
    if not sets[largest].exists():
        _write_images(source, largest, sets[largest])
    for count in others:
        if not sets[count].exists():
            _link_first(sets[largest], count, sets[count])
    return sets


def _write_images(source: Path, count: int, target: Path) -> None:
    allowed = ("duplicate_across_splits", "group_leakage")
    made = prepare_dataset(source, DatasetSettings(allow=allowed))
    good = made.table[made.table["status"] == "ok"]
    order = np.random.default_rng(0).permutation(len(good))
    aside, digests = target.with_name(f".{target.name}.tmp"), set[bytes]()
    shutil.rmtree(aside, ignore_errors=True)
    for place, row in enumerate(good.iloc[order[:count]].itertuples()):
        (aside / str(row.label)).mkdir(parents=True, exist_ok=True)
        with Image.open(made.root / str(row.path)) as image:
            pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
        for number in range(place, count, len(good)):
            content = _changed(pixels, number, columns=1 + number // len(good))
            digests.add(sha256(content).digest())
            (aside / str(row.label) / f"{number:06d}.jpg").write_bytes(content)
    if len(digests) != count:
        raise click.ClickException(f"{source}: {count - len(digests)} of {count} grown images equal another one")
    aside.replace(target)


def _changed(pixels: np.ndarray, number: int, columns: int) -> bytes:
    turned = np.roll(pixels, columns, axis=1)
    is_grey = pixels.ndim == 3 and bool((pixels == pixels[..., :1]).all())
    stamp = turned[:STAMP, :STAMP, :1] if is_grey else turned[:STAMP, :STAMP]  # grey images stay grey
    turned[:STAMP, :STAMP] = np.random.default_rng(number).integers(0, 256, stamp.shape)
    content = BytesIO()
    Image.fromarray(turned).save(content, format="JPEG", quality=QUALITY)
    return content.getvalue()


def _link_first(largest: Path, count: int, target: Path) -> None:
    """The images with the lowest numbers; hard links take no room."""
    aside = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    for file in sorted(largest.glob("*/*.jpg"), key=lambda file: file.name)[:count]:
        linked = aside / file.parent.name / file.name
        linked.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, linked)
    aside.replace(target)
