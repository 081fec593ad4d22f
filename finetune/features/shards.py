"""Shards of stored features: whole images, all arrays one after the other, and a checksum beside each file."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.features.identity import StoreIdentity, images_at_once
from finetune.files import file_sha256, json_text, replace_bytes

SHARD_BYTES = 64_000_000
SHARD_VIEWS = 512
"""A shard ends at the nearer of both: the bytes bound its file, the views what a kill can cost of the trunk's work."""


@dataclass(frozen=True)
class ShardLayout:
    """Which images lie in which shard, and where in its file; `shapes` are per image, views first."""

    images: int
    shapes: tuple[tuple[int, ...], ...]
    dtype: np.dtype[Any]
    images_per_shard: int

    def __len__(self) -> int:
        return -(-self.images // self.images_per_shard)

    def rows(self, number: int) -> range:
        """The images of a shard."""
        start = number * self.images_per_shard
        return range(start, min(self.images, start + self.images_per_shard))

    def row_bytes(self) -> list[int]:
        """Bytes of one image in each array."""
        return [self.dtype.itemsize * int(np.prod(shape, dtype=np.int64)) for shape in self.shapes]

    def offsets(self, number: int) -> list[int]:
        """Where each array begins in the file of a shard; the last number is the file's size."""
        sizes = [len(self.rows(number)) * size for size in self.row_bytes()]
        return [sum(sizes[:index]) for index in range(len(sizes) + 1)]


def lay_out(identity: StoreIdentity, shard_bytes: int = SHARD_BYTES) -> ShardLayout:
    """Shards of whole batches of the trunk: whatever is computed anew, its batches are those of the first time."""
    shapes = tuple((identity.views, *shape) for shape in identity.shapes)
    batch = images_at_once(identity.views, identity.batch_size)
    image_bytes = max(1, identity.size_bytes // max(1, len(identity.images)))
    images = min(shard_bytes // image_bytes, SHARD_VIEWS // identity.views)
    dtype = np.dtype(identity.dtype)
    return ShardLayout(len(identity.images), shapes, dtype, max(1, images // batch) * batch)


def check_shard(folder: Path, layout: ShardLayout, number: int) -> bool | None:
    """Whether the bytes of a shard are those that were written; None where it was not written to its end.

    A file is read and hashed once in a process, and again if it has changed since. That costs a
    second or two a gigabyte, some hundredth of what the trunk needed for it, and warms the pages
    that the first epoch is about to read. What a process has hashed it goes on trusting.
    """
    path = _shard_path(folder, number)
    try:
        record = json.loads(_record_path(folder, number).read_text(encoding="utf-8"))
        state = path.stat()
        is_same = record["bytes"] == state.st_size == layout.offsets(number)[-1]
        return bool(is_same and record["sha256"] == _hash_once(path, state.st_ino, state.st_size, state.st_mtime_ns))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        return False


@lru_cache(maxsize=100_000)
def _hash_once(path: Path, inode: int, size: int, changed_ns: int) -> str:
    return file_sha256(path)


def map_shard(folder: Path, layout: ShardLayout, number: int) -> list[NDArray[Any]]:
    """The arrays of a shard, (images, views, ...), read-only, mapped from disk."""
    content = np.memmap(_shard_path(folder, number), dtype=np.uint8, mode="r").view(np.ndarray)
    offsets, count = layout.offsets(number), len(layout.rows(number))
    pieces = zip(layout.shapes, offsets[:-1], offsets[1:], strict=True)
    return [content[start:end].view(layout.dtype).reshape(count, *shape) for shape, start, end in pieces]


class ShardWriter:
    """Writes one shard batch by batch into a file aside; it is there after `finish`, or not at all.

    The batches go through ordinary writes, not through a map: on a full disk those raise OSError,
    where a map would kill the process.
    """

    def __init__(self, folder: Path, layout: ShardLayout, number: int) -> None:
        self.folder, self.number, self.row_bytes = folder, number, layout.row_bytes()
        self._ends = layout.offsets(number)[:-1]
        self._aside = folder / f".{number:05d}.tmp"
        self._file = self._aside.open("w+b", buffering=0)  # nothing is left to be written when it is closed

    def write(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Append the images of a batch to each array."""
        for index, array in enumerate(arrays):
            rest = np.ascontiguousarray(array).data.cast("B")
            self._file.seek(self._ends[index])
            self._ends[index] += len(rest)
            while rest:
                rest = rest[self._file.write(rest) :]

    def finish(self) -> None:
        """Bring the shard to the disk, then its record."""
        os.fsync(self._file.fileno())
        self._file.seek(0)
        digest = hashlib.file_digest(self._file, "sha256").hexdigest()
        size = self._file.tell()
        path = _shard_path(self.folder, self.number)
        self._aside.replace(path)
        record = {"sha256": digest, "bytes": size}
        replace_bytes(_record_path(self.folder, self.number), json_text(record).encode())

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._aside.unlink(missing_ok=True)


def _shard_path(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.bin"


def _record_path(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.json"
