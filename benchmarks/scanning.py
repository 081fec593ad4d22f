"""How fast a folder is scanned, against Pillow alone in two processes.

    python -m benchmarks.scanning DATA --images 10000 --repeats 3

The real images of DATA, repeated under new names with changed pixels. Bare: `verify()`, `load()` and sha256 of every
file, by two processes, which are there before the clock starts. Written: each file opened once, loaded, hashed, and its
pixels appended to a file as they are; no scan that keeps them is faster. First scan: every file listed, read, hashed
and decoded with an empty store, its pixels kept, by two processes, one of which is started within the time. Second
scan: the same with what is kept; no image is decoded. Audited: all that a run does before it trains, with what is kept:
the second scan, and grouping, splitting, findings, copies and shortcuts. Runs take turns; the ratios are of medians.
"""

import hashlib
import io
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter

import click
import numpy as np
from PIL import Image
from rich.console import Console

from benchmarks.grown_images import grow_images
from data_tools import (
    DatasetSettings,
    Keeping,
    PixelStore,
    Preprocessing,
    evaluation_geometry,
    prepare_dataset,
    thumbnail_geometry,
    training_geometry,
)
from data_tools.arrays import rgb_array
from data_tools.keeping import lean_pixels
from data_tools.memory import keep_freed_memory
from data_tools.probing import probe_images
from data_tools.scanning import scan_folder
from finetune.cli.progress import ConsoleTrack

LOOK = Preprocessing(224, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 0.875)
WORKERS = 2
_CHUNK = 64


def read_bare(path: str) -> str:
    """The sha256 of a file that Pillow verified and loaded."""
    content = Path(path).read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        image.verify()
    with Image.open(io.BytesIO(content)) as image:
        image.load()
    return hashlib.sha256(content).hexdigest()


def write_pixels(path: str, folder: Path) -> str:
    """The sha256 of a file whose pixels were appended to the file of this process in `folder`, grey ones as grey."""
    content = Path(path).read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        pixels = lean_pixels(rgb_array(image.convert("RGB")))
    with (folder / str(os.getpid())).open("ab", buffering=0) as file:
        file.write(np.ascontiguousarray(pixels).data)
    return hashlib.sha256(content).hexdigest()


def time_processes(read: Callable[[str], str], paths: list[str]) -> float:
    """Seconds that two processes take; they are there before the clock starts."""
    with ProcessPoolExecutor(WORKERS, initializer=keep_freed_memory) as pool:
        list(pool.map(read, paths[: 2 * WORKERS]))
        started = perf_counter()
        list(pool.map(read, paths, chunksize=_CHUNK))
        return perf_counter() - started


def time_scan(folder: Path, store: Path) -> float:
    """Seconds until every image is listed and read, with the progress bar of a run."""
    keeping, started = _keeping(store), perf_counter()
    paths = [folder / sample.path for sample in scan_folder(folder).samples]
    probe_images(paths, workers=WORKERS, keeping=keeping, track=ConsoleTrack(Console()))
    return perf_counter() - started


def time_audit(folder: Path, store: Path) -> float:
    """Seconds of all that a run does before it trains."""
    keeping, started = _keeping(store), perf_counter()
    prepare_dataset(folder, DatasetSettings(), workers=WORKERS, keeping=keeping)
    return perf_counter() - started


def _keeping(store: Path) -> Keeping:
    geometries = (evaluation_geometry(LOOK), thumbnail_geometry(), training_geometry("standard", LOOK))
    return Keeping(PixelStore(store, 10**12), geometries)


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--images", type=int, default=10_000, show_default=True)
@click.option("--repeats", type=int, default=3, show_default=True)
@click.option(
    "--work", type=click.Path(path_type=Path), help="Folder for the images and the store; default: a new one."
)
def command(data: Path, images: int, repeats: int, work: Path | None) -> None:
    """Scan IMAGES images made of those of DATA, and read them with Pillow alone, in turns."""
    root = work or Path(tempfile.mkdtemp(prefix="scan-"))
    folder, store = grow_images(data, [images], root)[images], root / "store"
    paths = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
    keep_freed_memory()  # as a run does
    times: dict[str, list[float]] = {name: [] for name in ("bare", "written", "first scan", "second scan", "audited")}
    for _ in range(repeats):
        times["bare"].append(time_processes(read_bare, paths))
        shutil.rmtree(store, ignore_errors=True)
        store.mkdir()
        times["written"].append(time_processes(partial(write_pixels, folder=store), paths))
        shutil.rmtree(store)
        times["first scan"].append(time_scan(folder, store))
        times["second scan"].append(time_scan(folder, store))
        times["audited"].append(time_audit(folder, store))
    bare = statistics.median(times["bare"])
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        told = ", ".join(f"{one:.1f}" for one in seconds)
        click.echo(f"{name}: {middle:.1f} s ({told}), {len(paths) / middle:.0f} images/s, {bare / middle:.2f} of bare")
    if work is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    command()
