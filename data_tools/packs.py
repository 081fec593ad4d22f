"""Files that small arrays are appended to, each with an index of them beside it.

<name>.pack: the bytes of one array after another; <name>.index: a record of fixed size for each.

One process writes a pack, so no lock is needed between processes. Arrays and records have checksums: after a kill at
any point, whole arrays only are read. Many files, one an image, would take half as long to create as a small image
takes to be decoded.
"""

import os
import secrets
import struct
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

PACK, INDEX = ".pack", ".index"
_RECORD = struct.Struct("<32s3I2QI")
"""Name, shape, offset in the pack, checksum of the array, checksum of the record."""
_CHECKED = _RECORD.size - 4
RECORD_BYTES = _RECORD.size
_BUFFER = 2**16
"""Arrays of fewer bytes wait until there are so many, since each write takes as long as copying twice as much."""
_MOST_WAITING = 256
"""So many arrays a kill may cost, at most."""


class Place(NamedTuple):
    """Where an array lies."""

    pack: str
    offset: int
    shape: tuple[int, int, int]
    checksum: int

    @property
    def size(self) -> int:
        """Bytes of the array and of its record."""
        return self.shape[0] * self.shape[1] * self.shape[2] + RECORD_BYTES


class PackWriter:
    """A new pack in `folder`. Raises OSError where it cannot be made."""

    def __init__(self, folder: Path) -> None:
        stem = folder / f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
        self.pack, self.index = f"{stem}{PACK}", f"{stem}{INDEX}"
        self.size = 0
        self._data = open(self.pack, "xb", buffering=_BUFFER)  # noqa: SIM115 (open as long as the pack is written)
        self._records = open(self.index, "xb", buffering=_BUFFER)  # noqa: SIM115
        self._waiting = 0

    def __del__(self) -> None:
        with suppress(AttributeError, OSError, ValueError):
            self.close()

    @property
    def is_gone(self) -> bool:
        """Whether the file was removed meanwhile, so that nobody would find what is written to it."""
        return os.fstat(self._data.fileno()).st_nlink == 0

    def append(self, name: bytes, shape: tuple[int, int, int], data: Bytes) -> Place:
        """Write an array, or have it wait for some more. Raises OSError where the disk is full."""
        place = Place(self.pack, self.size, shape, checksum(data))
        record = _RECORD.pack(name, *shape, place.offset, place.checksum, 0)[:_CHECKED]
        self._data.write(data.data)
        self._records.write(record + struct.pack("<I", zlib.crc32(record)))
        self.size += len(data)
        self._waiting += 1
        if self._waiting > _MOST_WAITING:
            self.flush()
        return place

    def flush(self) -> None:
        """Write what waits: arrays before their records. Raises OSError where the disk is full."""
        if self._waiting:
            self._waiting = 0
            self._data.flush()
            self._records.flush()

    def close(self) -> None:
        """Write what waits, and no more after. Raises OSError where the disk is full."""
        try:
            self.flush()
        finally:
            for file in (self._data, self._records):
                with suppress(OSError):
                    file.close()

    def give_up(self) -> None:
        """Give back the room of what was cut short. Raises OSError where that fails."""
        with suppress(OSError):
            self.close()
        os.truncate(self.pack, min(self.size, os.stat(self.pack).st_size))


@dataclass
class PackIndex:
    """The index of one pack, of which the first `seen` bytes were read."""

    path: str
    seen: int = 0

    def read_new(self) -> list[tuple[bytes, Place]]:
        """The names and places that were written since. Raises OSError where the file is gone."""
        grown = os.stat(self.path).st_size - self.seen
        if grown < RECORD_BYTES:
            return []
        with FileIO(self.path) as file:
            file.seek(self.seen)
            content = file.read(grown // RECORD_BYTES * RECORD_BYTES) or b""
        pack, found = self.path.removesuffix(INDEX) + PACK, []
        for start in range(0, len(content) - RECORD_BYTES + 1, RECORD_BYTES):
            record = content[start : start + RECORD_BYTES]
            name, height, width, channels, offset, total, check = _RECORD.unpack(record)
            if zlib.crc32(record[:_CHECKED]) == check:
                found.append((name, Place(pack, offset, (height, width, channels), total)))
        self.seen += len(content) // RECORD_BYTES * RECORD_BYTES
        return found


def read_place(place: Place) -> Bytes | None:
    """The array that lies there; None where it does not fit its checksum, or the file is gone."""
    data = np.empty(place.size - RECORD_BYTES, dtype=np.uint8)
    try:
        with FileIO(place.pack) as file:
            file.seek(place.offset)
            if file.readinto(data.data) != len(data):
                return None
    except OSError:
        return None
    return data.reshape(place.shape) if checksum(data) == place.checksum else None


def checksum(data: Bytes) -> int:
    """Tells flipped bits and pages that never reached the disk, at a fifth of the time of a CRC."""
    whole = len(data) // 8 * 8
    total = int(data[:whole].view(np.uint64).sum(dtype=np.uint64))
    return (total + zlib.crc32(data[whole:].data)) % 2**64
