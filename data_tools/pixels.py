"""Small arrays of bytes on disk, under the digest of an image file and the key of a shelf.

<root>/<key of the shelf>/about.json, <name>.pack, <name>.index

Processes and threads need no lock among them, a kill at any point leaves nothing to mend (data_tools/packs.py), and
packs that were not used for long go alone. Nothing is synced to the disk: what a power failure tears does not fit its
checksum, and is made again.
"""

import hashlib
import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.packs import INDEX, PACK, RECORD_BYTES, Bytes, PackIndex, PackWriter, Place, read_place
from data_tools.private import make_private_folder

_ABOUT = "about.json"
_RECOUNT_SHARE = 32
"""All packs are counted anew after each such part of the budget: other processes write too. A pack is no larger."""
_LARGEST_PACK = 2**28
_TOUCH_SECONDS = 3600
"""The time of a pack says to this precision when it was last used."""


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


@dataclass
class _Open:
    """What this process knows of a shelf."""

    folder: str
    places: dict[bytes, Place] = field(default_factory=dict)
    indexes: dict[str, PackIndex] = field(default_factory=dict)
    """Of the packs of other processes, and of this store's before it was sent to this one."""
    own: set[str] = field(default_factory=set)
    """Indexes of this process's packs."""
    writer: PackWriter | None = None
    changed: int = -1
    """When a pack was last added to the folder, or removed from it, in nanoseconds."""

    def refresh(self) -> None:
        """Read what other processes have written since."""
        try:
            changed = os.stat(self.folder).st_mtime_ns
        except OSError:
            return
        if changed != self.changed:
            with suppress(OSError), os.scandir(self.folder) as entries:
                for path in sorted(entry.path for entry in entries if entry.name.endswith(INDEX)):
                    if path not in self.own:
                        self.indexes.setdefault(path, PackIndex(path))
                self.changed = changed
        for path, index in list(self.indexes.items()):
            try:
                self.places.update(index.read_new())
            except OSError:
                del self.indexes[path]


class PixelStore:
    """Arrays (height, width, channels) by shelf and name, in at most `budget_bytes` below `root`.

    A name is 64 hexadecimal digits. Keeping is optional: on a disk that is full, or in a folder that cannot be
    written, nothing is kept and nothing raised. Past the budget go first the packs that no run has used since before
    this store was opened, those unused for longest first; then nothing more is kept.
    """

    def __init__(self, root: Path, budget_bytes: int) -> None:
        self.root, self.budget_bytes = root, budget_bytes
        self._opened = time.time()
        self._bytes: int | None = None
        self._since_count = 0
        self._is_full = False
        self._is_closed = budget_bytes <= 0
        self._inherited: list[dict[str, _Open]] = []
        self._begin()

    def _begin(self) -> None:
        """Set what belongs to this process alone."""
        self._shelves: dict[str, _Open] = {}
        self._used: dict[str, float] = defaultdict(float)
        self._lock, self._process = threading.RLock(), os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        self.flush()
        alone = ("_shelves", "_inherited", "_used", "_lock", "_process")
        return {name: value for name, value in self.__dict__.items() if name not in alone}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {**state, "_inherited": []}
        self._begin()

    def read(self, shelf: Shelf, name: str) -> Bytes | None:
        """The array that was kept; None where there is none, or its checksum does not fit."""
        place, opened = self._find(shelf, name), self._open(shelf)
        if place is None:
            return None
        if opened.writer is not None and place.pack == opened.writer.pack:
            self._flush(opened)
        array = read_place(place)
        if array is None:
            opened.places.pop(bytes.fromhex(name), None)
        else:
            self._touch(shelf, place)
        return array

    def size(self, shelf: Shelf, name: str) -> int:
        """Bytes of a kept array on disk; 0 where there is none."""
        place = self._find(shelf, name)
        return 0 if place is None else place.size

    def touch(self, shelf: Shelf, name: str) -> bool:
        """Note that an array will be used, if it is there; whether it is."""
        place = self._find(shelf, name)
        return place is not None and self._touch(shelf, place)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is kept, as far as is known yet."""
        return self._is_full or self._is_closed

    def is_roomy(self, size: int) -> bool:
        """Whether the store is at most half full with an array of so many bytes."""
        with self._lock:
            return not self.is_full and self._count() + size <= self.budget_bytes // 2

    def keep(self, shelf: Shelf, name: str, array: Bytes, *, is_small: bool = False) -> None:
        """Keep an array, if there is room; what is small is counted, but needs none."""
        opened, key = self._open(shelf), bytes.fromhex(name)
        if key in opened.places or not self._take_room(array.size + RECORD_BYTES, is_small):
            return
        height, width, channels = array.shape
        data = np.ascontiguousarray(array).reshape(-1)
        with self._lock, self._faults(opened):
            writer = self._writer(shelf, opened)
            opened.places[key] = writer.append(key, (height, width, channels), data)
            if writer.size >= min(_LARGEST_PACK, self.budget_bytes // _RECOUNT_SHARE):
                opened.writer = None
                writer.close()

    def flush(self) -> None:
        """Write what waits to be written with more; without that, other processes find it somewhat later."""
        for opened in list(self._own_shelves().values()):
            self._flush(opened)

    def _flush(self, opened: _Open) -> None:
        with self._lock, self._faults(opened):
            if opened.writer is not None:
                opened.writer.flush()

    @contextmanager
    def _faults(self, opened: _Open) -> Iterator[None]:
        """Keep nothing more once something cannot be written."""
        try:
            yield
        except OSError:
            self._is_closed = True
            if opened.writer is not None:
                with suppress(OSError):
                    opened.writer.give_up()
                opened.writer = None

    def _open(self, shelf: Shelf) -> _Open:
        shelves = self._own_shelves()
        opened = shelves.get(shelf.key)
        if opened is None:
            with self._lock:
                opened = shelves.setdefault(shelf.key, _Open(f"{self.root}/{shelf.key}"))
        return opened

    def _own_shelves(self) -> dict[str, _Open]:
        """The shelves that this process opened. After a fork none: what waits in the files of the parent, it writes
        itself; they are held, since a file that nobody holds is flushed."""
        if self._process != os.getpid():
            self._inherited.append(self._shelves)
            self._begin()
        return self._shelves

    def _find(self, shelf: Shelf, name: str) -> Place | None:
        opened, key = self._open(shelf), bytes.fromhex(name)
        if key not in opened.places:
            with self._lock:
                opened.refresh()
        return opened.places.get(key)

    def _writer(self, shelf: Shelf, opened: _Open) -> PackWriter:
        """The pack that is being written."""
        if opened.writer is None or opened.writer.is_gone:
            folder = Path(opened.folder)
            self._prepare(shelf, folder)
            opened.writer = PackWriter(folder)
            opened.own.add(opened.writer.index)
        return opened.writer

    def _touch(self, shelf: Shelf, place: Place) -> bool:
        """Note that a pack is used; whether it is there still."""
        now = time.time()
        if now - self._used[place.pack] > _TOUCH_SECONDS:
            try:
                if now - os.stat(place.pack).st_mtime > _TOUCH_SECONDS:
                    os.utime(place.pack)
                os.utime(self.root / shelf.key)
            except FileNotFoundError:
                return False
            except OSError:  # a store that may only be read
                return True
            self._used[place.pack] = now
        return True

    def _prepare(self, shelf: Shelf, folder: Path) -> None:
        """Make the folder of a shelf with its description, where it is not there."""
        make_private_folder(folder)
        about = folder / _ABOUT
        if not about.exists():
            aside = about.with_name(f".{_ABOUT}.{os.getpid()}.{threading.get_ident()}.tmp")
            content = {"description": shelf.name, "facts": json.loads(shelf.facts)}
            aside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            aside.replace(about)

    def _take_room(self, size: int, is_small: bool) -> bool:
        with self._lock:
            if self._is_closed or self._is_full and not is_small:
                return False
            held = self._count()
            if not is_small and held + size > self.budget_bytes:
                held -= self._remove_unused(held + size - self.budget_bytes)
                self._is_full = held + size > self.budget_bytes
                if self._is_full:
                    self._bytes = held
                    return False
            self._bytes = held + size
            self._since_count += size
            return True

    def _count(self) -> int:
        """Bytes of all packs, as far as is known."""
        if self._bytes is None or self._since_count > self.budget_bytes // _RECOUNT_SHARE:
            self._bytes, self._since_count = sum(size for _, size, _ in self._packs()), 0
        return self._bytes

    def _remove_unused(self, size: int) -> int:
        """Remove packs until `size` bytes, and somewhat more, are free; the bytes that are."""
        wanted, freed, removed = size + self.budget_bytes // _RECOUNT_SHARE, 0, set()
        for used, count, path in sorted(self._packs()):
            if freed >= wanted or used >= self._opened - _TOUCH_SECONDS:
                break
            with suppress(OSError):
                os.unlink(path.removesuffix(PACK) + INDEX)
                os.unlink(path)
                freed += count
                removed.add(path)
        for opened in self._shelves.values():
            gone = [name for name, place in list(opened.places.items()) if place.pack in removed]
            for name in gone:
                opened.places.pop(name, None)
        return freed

    def _packs(self) -> Iterator[tuple[float, int, str]]:
        """When each pack was last used, its bytes with its index, and its path."""
        for path in self.root.glob(f"*/*{PACK}"):
            with suppress(OSError):  # another process may have removed it
                status = path.stat()
                yield status.st_mtime, status.st_size + path.with_suffix(INDEX).stat().st_size, str(path)
