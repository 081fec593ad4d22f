"""The cache folder knows its entries of both kinds, and removes nothing else."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.cache import CacheFolder
from finetune.cache.folder import default_budget
from finetune.errors import EnvironmentFault

KEY = "ab" * 32


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Both kinds, what the earlier layout left, and what is not ours."""
    pixels = tmp_path / "pixels" / "p1"
    pixels.mkdir(parents=True)
    (pixels / "shard").write_bytes(bytes(500))
    (pixels / "about.json").write_text(json.dumps({"description": "decoded pixels of 5 images"}))
    (tmp_path / "pixels" / "p2" / "deep").mkdir(parents=True)
    (tmp_path / "pixels" / "p2" / "deep" / "file").write_bytes(bytes(7))
    begun = tmp_path / "features" / "f1"
    begun.mkdir(parents=True)
    (begun / "about.json").write_text(json.dumps({"description": "begun", "shards": 2}))
    (begun / "00000.json").write_text("{}")
    (tmp_path / KEY).mkdir()
    (tmp_path / KEY / "checksums.json").write_text("{}")
    (tmp_path / f".{KEY}.12.tmp").mkdir()
    (tmp_path / f".{KEY}.12.tmp" / "00.npy").write_text("")
    (tmp_path / ("cd" * 32)).mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def test_entries_of_both_kinds_are_told_with_their_size_and_state(root: Path) -> None:
    entries = CacheFolder(root).entries()
    assert [(entry.kind, entry.key, entry.is_whole) for entry in entries] == [
        ("features", "f1", False),
        ("pixels", "p1", True),
        ("pixels", "p2", True),
        ("remains", f".{KEY}.12.tmp", False),
        ("remains", KEY, False),
    ]
    assert entries[1].description == "decoded pixels of 5 images"
    assert entries[2].description == "decoded pixels"
    assert entries[2].bytes == 7
    assert not any(entry.in_use for entry in entries)


def test_looking_and_marking_leave_the_order_of_use_right(root: Path) -> None:
    cache, folder = CacheFolder(root), root / "pixels" / "p1"
    os.utime(folder, (1000, 1000))
    assert [entry.last_used for entry in cache.entries() if entry.key == "p1"] == [1000]
    mark = cache.hold("pixels", "p1")
    used = folder.stat().st_mtime
    assert used > 1000
    os.utime(folder, (2000, 2000))
    mark.release()
    cache.entries()
    assert folder.stat().st_mtime == 2000


def test_a_mark_protects_while_it_is_held_and_two_marks_until_both_are_gone(root: Path) -> None:
    cache = CacheFolder(root)
    one, two = cache.hold("pixels", "p1"), cache.hold("pixels", "p1")
    one.release()
    assert cache.clean(lambda entry: entry.kind == "pixels").kept[0].key == "p1"
    assert not (root / "pixels" / "p2").exists()
    del two
    assert [entry.key for entry in cache.clean(lambda entry: entry.kind == "pixels").removed] == ["p1"]


def test_pixels_are_evicted_within_the_same_budget(root: Path) -> None:
    [size] = [entry.bytes for entry in CacheFolder(root).entries() if entry.key == "p1"]
    cache = CacheFolder(root, budget_bytes=size + 90)
    os.utime(root / "pixels" / "p2", (1000, 1000))
    cache.make_room(90, root / "features" / "new")
    assert [entry.key for entry in cache.entries()] == ["p1"]
    cache.make_room(400, root / "features" / "new")
    assert cache.entries() == []


@given(free=st.integers(0, 10**11), kept=st.integers(0, 10**11), more=st.integers(0, 10**11))
def test_the_budget_does_not_change_as_the_cache_grows(free: int, kept: int, more: int) -> None:
    more = min(more, free)
    assert default_budget(free - more, kept + more) == default_budget(free, kept) <= 10**10


def test_the_budget_counts_what_is_kept_as_free_unless_it_is_set(root: Path) -> None:
    kept = sum(entry.bytes for entry in CacheFolder(root).entries())
    assert kept > 500
    free = shutil.disk_usage(root).free
    assert CacheFolder(root).budget() == pytest.approx(default_budget(free, kept), rel=0.05)
    assert CacheFolder(root, budget_bytes=5).budget() == 5


def test_everything_that_is_ours_goes_and_nothing_else(root: Path) -> None:
    CacheFolder(root).clean(lambda entry: True)
    assert sorted(path.name for path in root.iterdir()) == [
        ".lock", "cd" * 32, "features", "notes.txt", "photos", "pixels",
    ]  # fmt: skip


def test_a_folder_that_is_not_there_is_empty_and_is_not_made(tmp_path: Path) -> None:
    cache = CacheFolder(tmp_path / "none")
    assert cache.entries() == []
    assert cache.clean(lambda entry: True).removed == ()
    assert cache.budget() > 0
    assert not (tmp_path / "none").exists()


def test_a_folder_that_is_a_file_is_an_environment_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="TAILTUNE_CACHE"):
        CacheFolder(tmp_path / "file").entries()
