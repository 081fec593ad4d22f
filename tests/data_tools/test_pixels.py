"""What was kept comes back as it was, or not at all; and keeping never stops anyone."""

import json
import os
import pickle
import shutil
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

from data_tools.packs import RECORD_BYTES, PackIndex
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


def packs(root: Path) -> list[Path]:
    return sorted(root.rglob("*.pack"))


def flushed(store: PixelStore, number: int, **size: tuple[int, int, int]) -> None:
    """Keep one array, and have it written."""
    store.keep(SHELF, digest(number), noise(number, **size))
    store.flush()


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


def test_a_shelf_says_what_it_holds_and_a_pack_when_it_was_used(tmp_path: Path) -> None:
    flushed(PixelStore(tmp_path, ROOM), 1)
    folder = tmp_path / SHELF.key
    assert json.loads((folder / "about.json").read_text()) == {"description": "some pixels", "facts": {"side": 8}}
    for path in (*packs(tmp_path), folder):
        os.utime(path, (0, 0))
    PixelStore(tmp_path, ROOM).read(SHELF, digest(1))
    assert all(time.time() - path.stat().st_mtime < DAY for path in (*packs(tmp_path), folder))
    assert [path.suffix for path in files(tmp_path)] == [".index", ".pack"]


@pytest.mark.parametrize("suffix", [".pack", ".index"])
def test_a_single_changed_byte_is_noticed_anywhere(tmp_path: Path, suffix: str) -> None:
    flushed(PixelStore(tmp_path, ROOM), 1)
    (path,) = tmp_path.rglob(f"*{suffix}")
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        store = PixelStore(tmp_path, ROOM)
        assert store.read(SHELF, digest(1)) is None
    store.keep(SHELF, digest(1), noise(1))
    assert (store.read(SHELF, digest(1)) == noise(1)).all()
    assert (PixelStore(tmp_path, ROOM).read(SHELF, digest(1)) == noise(1)).all()


@pytest.mark.parametrize("suffix", [".pack", ".index"])
def test_of_a_file_of_any_shorter_length_whole_arrays_are_read(tmp_path: Path, suffix: str) -> None:
    first = PixelStore(tmp_path, ROOM)
    for number in (1, 2):
        flushed(first, number)
    (path,) = tmp_path.rglob(f"*{suffix}")
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        store = PixelStore(tmp_path, ROOM)
        assert store.read(SHELF, digest(2)) is None
        found = store.read(SHELF, digest(1))
        assert (found is not None) == (length >= len(content) // 2)
        assert found is None or (found == noise(1)).all()


def test_no_more_is_kept_than_the_budget_allows(tmp_path: Path) -> None:
    store = PixelStore(tmp_path, 1000)
    for number in range(20):
        flushed(store, number, size=(10, 10, 1))
    kept = [number for number in range(20) if store.read(SHELF, digest(number)) is not None]
    assert kept == list(range(1000 // (100 + RECORD_BYTES)))
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 1000
    assert all((store.read(SHELF, digest(n)) == noise(n, (10, 10, 1))).all() for n in kept)
    again = PixelStore(tmp_path, 1000)
    flushed(again, 30, size=(10, 10, 1))
    assert again.is_full
    assert again.read(SHELF, digest(30)) is None
    again.keep(SHELF, digest(31), noise(31, (1, 9, 1)), is_small=True)
    assert again.read(SHELF, digest(31)) is not None


def test_a_store_is_roomy_up_to_half(tmp_path: Path) -> None:
    store = PixelStore(tmp_path, 2000)
    assert store.is_roomy(1000)
    assert not store.is_roomy(1001)
    store.keep(SHELF, digest(1), noise(1, (10, 10, 1)))
    assert store.is_roomy(900 - RECORD_BYTES)
    assert not PixelStore(tmp_path, 0).is_roomy(0)


def test_without_a_budget_nothing_is_written(tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "pixels", 0)
    store.keep(SHELF, digest(1), noise(1))
    store.keep(SHELF, digest(2), noise(1), is_small=True)
    assert not (tmp_path / "pixels").exists()


def test_what_was_unused_for_longest_makes_room(tmp_path: Path) -> None:
    before = PixelStore(tmp_path, 1700)
    for number in range(10):
        flushed(before, number, size=(10, 10, 1))
    held = packs(tmp_path)
    assert len(held) == 10  # a pack is no larger than a part of the budget
    for number, path in enumerate(held):
        os.utime(path, (time.time() - (number + 1) * DAY,) * 2)
    store = PixelStore(tmp_path, 1700)
    assert store.read(SHELF, digest(8)) is not None
    flushed(store, 20, size=(10, 10, 1))
    assert held[8].exists()
    assert not held[9].exists()
    assert not held[9].with_suffix(".index").exists()
    assert store.read(SHELF, digest(9)) is None
    assert store.read(SHELF, digest(20)) is not None
    for number in range(30, 60):
        flushed(store, number, size=(10, 10, 1))
    assert held[8].exists()
    assert store.read(SHELF, digest(20)) is not None
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 1700


def test_many_arrays_share_a_pack_and_are_found_by_others(tmp_path: Path) -> None:
    store, other = PixelStore(tmp_path, 100 * ROOM), PixelStore(tmp_path, 100 * ROOM)
    for number in range(300):
        store.keep(SHELF, digest(number), noise(number))
        assert (store.read(SHELF, digest(number // 2)) == noise(number // 2)).all()
    store.flush()
    assert len(files(tmp_path)) == 2
    assert all((other.read(SHELF, digest(number)) == noise(number)).all() for number in range(300))
    flushed(store, 300)
    assert (other.read(SHELF, digest(300)) == noise(300)).all()
    flushed(other, 301)
    assert (store.read(SHELF, digest(301)) == noise(301)).all()
    assert len(files(tmp_path)) == 4


def test_what_is_kept_again_is_written_once(tmp_path: Path) -> None:
    store = PixelStore(tmp_path, ROOM)
    for _ in range(3):
        flushed(store, 1)
    assert sum(path.stat().st_size for path in files(tmp_path)) == noise(1).size + RECORD_BYTES
    assert store.size(SHELF, digest(1)) == noise(1).size + RECORD_BYTES


def test_a_store_whose_files_were_removed_begins_anew(tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "pixels", ROOM)
    flushed(store, 1)
    shutil.rmtree(tmp_path / "pixels")
    assert store.read(SHELF, digest(1)) is None
    for number in (1, 2):
        flushed(store, number)
        assert (PixelStore(tmp_path / "pixels", ROOM).read(SHELF, digest(number)) == noise(number)).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_writes_packs_of_its_own(tmp_path: Path) -> None:
    store = PixelStore(tmp_path, ROOM)
    store.keep(SHELF, digest(1), noise(1))
    child = get_context("fork").Process(target=flush_then_keep, args=(store, 10))
    child.start()
    child.join()
    assert child.exitcode == 0
    store.keep(SHELF, digest(2), noise(2))
    store.flush()
    found = PixelStore(tmp_path, ROOM)
    assert all((found.read(SHELF, digest(number)) == noise(number)).all() for number in (1, 2, *range(10, 30)))


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
flushed(PixelStore(root, ROOM), 1, size=(2, 2, 1))
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
store = PixelStore(root, ROOM)
for number in (2, 3):
    flushed(store, number)
    assert store.read(SHELF, digest(number)) is None
assert store.is_full
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    found = PixelStore(tmp_path, ROOM)
    assert [number for number in (1, 2, 3) if found.read(SHELF, digest(number)) is not None] == [1]


def keep_some(task: tuple[PixelStore, int]) -> None:
    store, start = task
    for number in range(start, start + 20):
        store.keep(SHELF, digest(number), noise(number))
    store.flush()


def flush_then_keep(store: PixelStore, start: int) -> None:
    store.flush()  # nothing of the parent's
    keep_some((store, start))


def test_threads_and_processes_share_one_store(tmp_path: Path) -> None:
    store = PixelStore(tmp_path, ROOM)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(keep_some, [(store, start) for start in (0, 10, 0, 20)]))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        list(processes.map(keep_some, [(store, start) for start in (30, 40)]))
    assert all((store.read(SHELF, digest(number)) == noise(number)).all() for number in range(60))
    assert len(packs(tmp_path)) <= 3
    assert pickle.loads(pickle.dumps(store)).read(SHELF, digest(3)) is not None


def test_a_kill_at_any_moment_leaves_whole_arrays_only(tmp_path: Path) -> None:
    store, large = PixelStore(tmp_path, 10**9), (700, 500, 3)
    for wait in (0.0, 0.01, 0.02, 0.05):
        writer = get_context("spawn").Process(target=keep_for_ever, args=(store, large))
        before = sum(path.stat().st_size for path in files(tmp_path))
        writer.start()
        while sum(path.stat().st_size for path in files(tmp_path)) < before + 3 * 700 * 500 * 3:
            assert writer.is_alive()
            time.sleep(0.001)
        time.sleep(wait)
        writer.kill()
        writer.join()
    found = PixelStore(tmp_path, 10**9)
    names = [
        record.hex() for path in sorted(tmp_path.rglob("*.index")) for record, _ in PackIndex(str(path)).read_new()
    ]
    assert len(names) >= 4
    for name in names:
        pixels = found.read(SHELF, name)
        assert pixels is not None
        assert pixels.shape == large


def keep_for_ever(store: PixelStore, size: tuple[int, int, int]) -> None:
    while True:
        number = time.perf_counter_ns()
        store.keep(SHELF, digest(number), noise(number % 2**32, size))
        store.flush()
