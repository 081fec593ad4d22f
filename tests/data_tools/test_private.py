"""Folders that hold a user's images, or numbers about them, are nobody else's to read."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data_tools import PixelStore
from data_tools.pixels import Shelf
from data_tools.private import make_private_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_a_folder_and_all_that_is_missing_above_it_are_made_for_the_user_alone(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "a" / "b" / "c")
    assert [mode(tmp_path / place) for place in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "mine").mkdir()
    make_private_folder(tmp_path / "mine")
    make_private_folder(tmp_path / "mine" / "new")
    assert [mode(tmp_path), mode(tmp_path / "mine"), mode(tmp_path / "mine" / "new")] == [0o755, 0o755, 0o700]


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "file")


def test_kept_pixels_are_private_even_in_a_folder_that_anyone_may_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    store = PixelStore(tmp_path, 10**6)
    store.keep(Shelf("small", "{}"), "0" * 64, np.zeros((2, 2, 3), dtype=np.uint8))
    store.flush()
    shelves = [folder for folder in tmp_path.iterdir() if folder.is_dir()]
    assert [mode(folder) for folder in shelves] == [0o700]
