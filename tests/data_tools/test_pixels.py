"""What was kept comes back as it was, or not at all; and keeping never stops anyone."""

import json
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_tools.pixels import PixelStore, Shelf

SHELF = Shelf("some pixels", '{"side": 8}')
ROOM = 10**6
DAY = 86400


def digest(number: int) -> str:
    return f"{number:064x}"[::-1]


def noise(seed: int, size: tuple[int, int, int] = (7, 5, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and path.name != "about.json")


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_what_was_kept_comes_back_byte_by_byte(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, channels: int, seed: int
) -> None:
    store = PixelStore(tmp_path_factory.mktemp("pixels"), ROOM)
    pixels = noise(seed, (height, width, channels))
    store.keep(SHELF, digest(1), pixels[:, ::-1])
    found = store.read(SHELF, digest(1))
    assert found is not None
    assert (found == pixels[:, ::-1]).all()
    assert store.read(SHELF, digest(2)) is None
    assert store.read(Shelf("others", "{}"), digest(1)) is None


def test_a_shelf_says_what_it_holds_and_when_it_was_used(tmp_path: Path) -> None:
    PixelStore(tmp_path, ROOM).keep(SHELF, digest(1), noise(1))
    folder = tmp_path / SHELF.key
    assert json.loads((folder / "about.json").read_text()) == {"description": "some pixels", "facts": {"side": 8}}
    os.utime(folder, (0, 0))
    PixelStore(tmp_path, ROOM).read(SHELF, digest(1))
    assert time.time() - folder.stat().st_mtime < DAY
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("place", [0, 9, 13, 17, 21, 24, 60, -1])
def test_a_single_changed_byte_is_noticed(tmp_path: Path, place: int) -> None:
    store = PixelStore(tmp_path, ROOM)
    store.keep(SHELF, digest(1), noise(1))
    (path,) = files(tmp_path)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert store.read(SHELF, digest(1)) is None
    store.keep(SHELF, digest(1), noise(1))
    assert (store.read(SHELF, digest(1)) == noise(1)).all()


def test_a_file_of_any_shorter_length_is_never_read(tmp_path: Path) -> None:
    store = PixelStore(tmp_path, ROOM)
    store.keep(SHELF, digest(1), noise(1))
    (path,) = files(tmp_path)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert store.read(SHELF, digest(1)) is None


def test_no_more_is_kept_than_the_budget_allows(tmp_path: Path) -> None:
    store = PixelStore(tmp_path, 1000)
    for number in range(20):
        store.keep(SHELF, digest(number), noise(number, (10, 10, 1)))
    kept = files(tmp_path)
    assert len(kept) == 1000 // 124
    assert sum(path.stat().st_size for path in kept) <= 1000
    assert all((store.read(SHELF, digest(n)) == noise(n, (10, 10, 1))).all() for n in range(len(kept)))
    again = PixelStore(tmp_path, 1000)
    again.keep(SHELF, digest(30), noise(30, (10, 10, 1)))
    assert len(files(tmp_path)) == len(kept)
    again.keep(SHELF, digest(31), noise(31, (1, 9, 1)), is_small=True)
    assert len(files(tmp_path)) == len(kept) + 1


def test_without_a_budget_nothing_is_written(tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "pixels", 0)
    store.keep(SHELF, digest(1), noise(1))
    store.keep(SHELF, digest(2), noise(1), is_small=True)
    assert not (tmp_path / "pixels").exists()


def test_what_was_unused_for_longest_makes_room(tmp_path: Path) -> None:
    before = PixelStore(tmp_path, 1300)
    for number in range(10):
        before.keep(SHELF, digest(number), noise(number, (10, 10, 1)))
    for age, path in enumerate(files(tmp_path)):
        os.utime(path, (time.time() - (age + 1) * DAY,) * 2)
    store = PixelStore(tmp_path, 1300)
    used, oldest = files(tmp_path)[8], files(tmp_path)[9]
    assert store.read(SHELF, used.name) is not None
    store.keep(SHELF, digest(20), noise(20, (10, 10, 1)))
    assert used.exists()
    assert not oldest.exists()
    assert store.read(SHELF, digest(20)) is not None
    for number in range(30, 60):
        store.keep(SHELF, digest(number), noise(number, (10, 10, 1)))
    assert used.exists()
    assert store.read(SHELF, digest(20)) is not None
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 1300


def test_a_place_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = PixelStore(tmp_path / "file" / "pixels", ROOM)
    for number in range(3):
        store.keep(SHELF, digest(number), noise(number))
    assert store.read(SHELF, digest(0)) is None


@pytest.mark.skipif(sys.platform == "win32", reason="this system cannot limit the size of a file")
@pytest.mark.parametrize("limit", [10, 24, 100])
def test_a_disk_that_fills_while_pixels_are_written_stops_nobody(tmp_path: Path, limit: int) -> None:
    code = f"""
import resource
from tests.data_tools.test_pixels import *
root = Path({str(tmp_path)!r})
PixelStore(root, ROOM).keep(SHELF, digest(1), noise(1, (2, 2, 1)))
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
store = PixelStore(root, ROOM)
for number in (2, 3):
    store.keep(SHELF, digest(number), noise(number))
    assert store.read(SHELF, digest(number)) is None
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert [path.name for path in files(tmp_path)] == [digest(1)]


def keep_some(task: tuple[PixelStore, int]) -> None:
    store, start = task
    for number in range(start, start + 20):
        store.keep(SHELF, digest(number), noise(number))


def test_threads_and_processes_share_one_store(tmp_path: Path) -> None:
    store = PixelStore(tmp_path, ROOM)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(keep_some, [(store, start) for start in (0, 10, 0, 20)]))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        list(processes.map(keep_some, [(store, start) for start in (30, 40)]))
    assert all((store.read(SHELF, digest(number)) == noise(number)).all() for number in range(60))
    assert len(files(tmp_path)) == 60
    assert pickle.loads(pickle.dumps(store)).read(SHELF, digest(3)) is not None


def test_a_kill_at_any_moment_leaves_whole_arrays_only(tmp_path: Path) -> None:
    store, large = PixelStore(tmp_path, 10**9), (700, 500, 3)
    for number in range(6):
        context = get_context("spawn")
        writer = context.Process(target=keep_for_ever, args=(store, large))
        writer.start()
        deadline = time.time() + 20
        while len(files(tmp_path)) <= number and time.time() < deadline:
            time.sleep(0.001)
        writer.kill()
        writer.join()
    kept = [path.name for path in files(tmp_path) if not path.name.startswith(".")]
    assert kept
    for name in kept:
        found = store.read(SHELF, name)
        assert found is not None
        assert found.shape == large


def keep_for_ever(store: PixelStore, size: tuple[int, int, int]) -> None:
    while True:
        number = time.perf_counter_ns()
        store.keep(SHELF, digest(number), noise(number % 2**32, size))
