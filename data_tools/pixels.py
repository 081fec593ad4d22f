"""Small arrays of bytes on disk, one file each, under the digest of an image file and the key of a shelf.

<root>/<key of the shelf>/about.json, <two digits>/<name>

One file an image, not packs of many: a rename puts it there whole, so processes and threads need no lock,
a kill at any point leaves nothing to mend, and what was not used for long can go alone. Nothing
is synced to the disk: what a power failure tears does not fit its checksum, and is made again.
"""

import errno
import hashlib
import json
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_ABOUT = "about.json"
_HEADER = struct.Struct("<8s4I")
_MAGIC = b"tailpix1"
_RECOUNT_SHARE = 32
"""All files are counted anew after each such part of the budget: other processes write too."""
_TOUCH_SECONDS = 3600
"""The time of a file says to this precision when it was last used."""


@dataclass(frozen=True)
class Shelf:
    """A folder of the store."""

    name: str
    """What lies in it, for people, in one line."""
    facts: str
    """Everything that shapes what lies in it, as JSON with sorted keys."""

    @cached_property
    def key(self) -> str:
        """sha256 of the facts, in hexadecimal."""
        return hashlib.sha256(self.facts.encode()).hexdigest()


class PixelStore:
    """Arrays (height, width, channels) by shelf and name, in at most `budget_bytes` below `root`.

    Keeping is optional: on a disk that is full, or in a folder that cannot be written, nothing is kept
    and nothing raised. Past the budget go first the files that no run has used since before this store was opened,
    those unused for longest first; then nothing more is kept.
    """

    def __init__(self, root: Path, budget_bytes: int) -> None:
        self.root, self.budget_bytes = root, budget_bytes
        self._opened = time.time()
        self._used: set[str] = set()
        self._bytes: int | None = None
        self._since_count = 0
        self._is_full = False
        self._is_closed = budget_bytes <= 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {**state, "_lock": threading.Lock()}

    def read(self, shelf: Shelf, name: str) -> Bytes | None:
        """The array that was kept; None where there is none, or its checksum does not fit."""
        try:
            with self._path(shelf, name).open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                content = np.empty(status.st_size, dtype=np.uint8)
                if file.readinto(content.data) != len(content):
                    return None
        except OSError:
            return None
        array = _unpack(content)
        if array is not None:
            self._touch(shelf, name, status.st_mtime)
        return array

    def size(self, shelf: Shelf, name: str) -> int:
        """Bytes of a kept array on disk; 0 where there is none."""
        try:
            return self._path(shelf, name).stat().st_size
        except OSError:
            return 0

    def touch(self, shelf: Shelf, name: str) -> bool:
        """Note that an array will be used, if it is there; whether it is."""
        try:
            changed = self._path(shelf, name).stat().st_mtime
        except OSError:
            return False
        self._touch(shelf, name, changed)
        return True

    @property
    def is_full(self) -> bool:
        """Whether nothing more is kept, as far as is known yet."""
        return self._is_full or self._is_closed

    def keep(self, shelf: Shelf, name: str, array: Bytes, *, is_small: bool = False) -> None:
        """Keep an array, if there is room; what is small is counted, but needs none."""
        data = np.ascontiguousarray(array).reshape(-1)
        size = _HEADER.size + len(data)
        if not self._take_room(size, is_small):
            return
        path = self._path(shelf, name)
        aside = path.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}.tmp")
        try:
            self._prepare(shelf, path.parent)
            with aside.open("wb", buffering=0) as file:
                file.write(_pack_header(array.shape, data))
                file.write(data.data)
            if aside.stat().st_size < size:  # what is written to a disk as it fills is cut short without an error
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            aside.replace(path)
        except OSError:
            self._is_closed = True
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def _path(self, shelf: Shelf, name: str) -> Path:
        return Path(f"{self.root}/{shelf.key}/{name[:2]}/{name}")  # at once: each `/` of a Path is parsed anew

    def _touch(self, shelf: Shelf, name: str, changed: float) -> None:
        with suppress(OSError):
            if time.time() - changed > _TOUCH_SECONDS:
                os.utime(self._path(shelf, name))
            self._touch_shelf(shelf)

    def _touch_shelf(self, shelf: Shelf) -> None:
        if shelf.key not in self._used:
            self._used.add(shelf.key)
            os.utime(self.root / shelf.key)

    def _prepare(self, shelf: Shelf, folder: Path) -> None:
        """Make the folder of an array, and the shelf with its description, where they are not there."""
        if folder.is_dir():
            return
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(parents=True, exist_ok=True)
        about = self.root / shelf.key / _ABOUT
        if not about.exists():
            aside = about.with_name(f".{_ABOUT}.{os.getpid()}.{threading.get_ident()}.tmp")
            content = {"description": shelf.name, "facts": json.loads(shelf.facts)}
            aside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            aside.replace(about)
        self._touch_shelf(shelf)

    def _take_room(self, size: int, is_small: bool) -> bool:
        with self._lock:
            if self._is_closed or self._is_full and not is_small:
                return False
            if self._bytes is None or self._since_count > self.budget_bytes // _RECOUNT_SHARE:
                self._bytes, self._since_count = sum(size for _, size, _ in self._files()), 0
            if not is_small and self._bytes + size > self.budget_bytes:
                self._bytes -= self._remove_unused(self._bytes + size - self.budget_bytes)
                self._is_full = self._bytes + size > self.budget_bytes
                if self._is_full:
                    return False
            self._bytes += size
            self._since_count += size
            return True

    def _remove_unused(self, size: int) -> int:
        """Remove files until `size` bytes, and somewhat more, are free; the bytes that are."""
        wanted, freed = size + self.budget_bytes // _RECOUNT_SHARE, 0
        for used, count, path in sorted(self._files()):
            if freed >= wanted or used >= self._opened - _TOUCH_SECONDS:
                break
            with suppress(OSError):
                os.unlink(path)
                freed += count
        return freed

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """When each array was last used, its bytes and its path."""
        for place in self.root.glob("*/[0-9a-f][0-9a-f]"):
            with suppress(OSError), os.scandir(place) as entries:
                for entry in entries:
                    with suppress(OSError):  # another process may have removed it
                        status = entry.stat(follow_symlinks=False)
                        yield status.st_mtime, status.st_size, entry.path


def _pack_header(shape: tuple[int, ...], data: Bytes) -> bytes:
    sizes = struct.pack("<3I", *shape)
    return _HEADER.pack(_MAGIC, zlib.crc32(data.data, zlib.crc32(sizes)), *shape)


def _unpack(content: Bytes) -> Bytes | None:
    if len(content) < _HEADER.size:
        return None
    magic, checksum, *shape = _HEADER.unpack(content[: _HEADER.size].tobytes())
    data = content[_HEADER.size :]
    if magic != _MAGIC or zlib.crc32(data.data, zlib.crc32(struct.pack("<3I", *shape))) != checksum:
        return None
    return data.reshape(shape) if len(data) == int(np.prod(shape, dtype=np.int64)) else None
