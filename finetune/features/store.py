"""The feature store: trunk outputs on disk, memory-mapped, under a key made of all that shapes them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor

from finetune.cache import CacheFolder
from finetune.cache.entries import ABOUT
from finetune.errors import EnvironmentFault, FeaturesTooLargeError
from finetune.features.identity import StoreIdentity
from finetune.features.shards import SHARD_BYTES, ShardLayout, ShardWriter, check_shard, lay_out
from finetune.features.stored import Features, map_features
from finetune.files import json_text, replace_bytes
from finetune.progress import Say, silent

Compute = Callable[[range], Iterator[tuple[Tensor, ...]]]
"""Runs the trunk over some of the images: batches (images, views, ...), in order, from the first of the range on."""

_LOCK = "build.lock"
_WAIT_SECONDS = 0.2
_TYPES = {"float16": torch.float16, "float32": torch.float32, "float64": torch.float64}


class FeatureStore:
    """Features in shards below `root`/features, one folder a key; several processes may share it."""

    def __init__(self, root: Path, budget_bytes: int | None = None, shard_bytes: int = SHARD_BYTES) -> None:
        self.root, self.shard_bytes = root, shard_bytes
        self.cache = CacheFolder(root, budget_bytes)

    def open(self, identity: StoreIdentity) -> Features | None:
        """The stored arrays, read-only; None where a shard is missing or its checksum does not fit."""
        if not (self.root / "features" / identity.key / ABOUT).exists():
            return None
        layout = lay_out(identity, self.shard_bytes)
        with self._disk_faults(identity):
            mark = self.cache.hold("features", identity.key)
            if not all(check_shard(mark.folder, layout, number) for number in range(len(layout))):
                return None
            return map_features(mark.folder, layout, mark)

    def build(
        self, identity: StoreIdentity, compute: Compute, *, say: Say = silent, check: Callable[[], None] = lambda: None
    ) -> Features:
        """Compute the shards that are not there, or whose checksum does not fit, and open all.

        What another process makes at the same time is waited for; `check` is called meanwhile and may
        raise to end the waiting.

        Raises EnvironmentFault when the disk cannot hold them.
        """
        layout = lay_out(identity, self.shard_bytes)
        with self._disk_faults(identity):
            mark = self.cache.hold("features", identity.key)
            lock = FileLock(mark.folder / _LOCK)
            _wait_for(lock, say, check)
        try:
            self._fill(mark.folder, identity, layout, compute, say)
        finally:
            lock.release()
        with self._disk_faults(identity):
            return map_features(mark.folder, layout, mark)

    def budget(self) -> int:
        """Bytes that the store and whatever else is in its folder may take."""
        return self.cache.budget()

    def _fill(self, folder: Path, identity: StoreIdentity, layout: ShardLayout, compute: Compute, say: Say) -> None:
        with self._disk_faults(identity):
            states = [check_shard(folder, layout, number) for number in range(len(layout))]
            if all(states):
                return
            self.cache.make_room(identity.size_bytes, folder)
            _prepare(folder, identity, layout)
        _tell(states, say)
        for is_whole, group in groupby(range(len(layout)), key=lambda number: bool(states[number])):
            if not is_whole:
                self._compute_shards(folder, identity, layout, list(group), compute)

    def _compute_shards(
        self, folder: Path, identity: StoreIdentity, layout: ShardLayout, numbers: Sequence[int], compute: Compute
    ) -> None:
        """Compute neighbouring shards in one go."""
        batches = compute(range(layout.rows(numbers[0]).start, layout.rows(numbers[-1]).stop))
        for number in numbers:
            with self._disk_faults(identity):
                writer = ShardWriter(folder, layout, number)
            with writer:
                for arrays in _take(batches, len(layout.rows(number)), identity.dtype):
                    with self._disk_faults(identity):
                        writer.write(arrays)
                with self._disk_faults(identity):
                    writer.finish()
        for _ in batches:  # lets the trunk's loop run to its end
            raise ValueError("the trunk goes on past the images that it was asked for")

    @contextmanager
    def _disk_faults(self, identity: StoreIdentity) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EnvironmentFault(
                f"{self.root} cannot hold the features ({identity.size_bytes / 1e6:.0f} MB): {error.strerror}. "
                "Free the disk, set TAILTUNE_CACHE to another one, or use --set cache.mode=fresh."
            ) from error


def _wait_for(lock: FileLock, say: Say, check: Callable[[], None]) -> None:
    """Acquire `lock`, however long its holder takes."""
    is_told = False
    while True:
        try:
            lock.acquire(timeout=_WAIT_SECONDS)
            return
        except Timeout:
            check()
        if not is_told:
            say("Another process is making the same features; this one waits for them.")
            is_told = True


def _prepare(folder: Path, identity: StoreIdentity, layout: ShardLayout) -> None:
    """Say what the folder will hold, and remove what a killed process was writing."""
    about = {
        "description": identity.description,
        "shards": len(layout),
        "shapes": identity.array_shapes,
        "dtype": identity.dtype,
        "bytes": identity.size_bytes,
    }
    for orphan in folder.glob(".*.tmp"):
        orphan.unlink()
    replace_bytes(folder / ABOUT, json_text(about).encode("utf-8", errors="surrogateescape"))


def _tell(states: Sequence[bool | None], say: Say) -> None:
    """Say in sentences what of an entry that is not whole will be used."""
    kept, broken = states.count(True), states.count(False)
    if broken:
        does, are = ("does", "is") if broken == 1 else ("do", "are")
        say(f"{broken} of {len(states)} shards of stored features {does} not fit the checksum and {are} computed anew.")
    if kept and kept + broken < len(states):
        say(f"{kept} of {len(states)} shards of features are there from an earlier run; the trunk makes the others.")


def _take(batches: Iterator[tuple[Tensor, ...]], images: int, dtype: str) -> Iterator[list[NDArray[Any]]]:
    """Whole batches, in the type they are stored in, until there are as many images.

    Raises FeaturesTooLargeError for numbers that the type cannot hold.
    """
    while images > 0:
        features = next(batches)
        images -= len(features[0])
        yield [_stored(feature, dtype) for feature in features]
    if images:
        raise ValueError(f"a batch of features goes {-images} images past the end of its shard")


def _stored(feature: Tensor, dtype: str) -> NDArray[Any]:
    stored = feature.to(_TYPES[dtype])
    if not stored.isfinite().all() and feature.isfinite().all():
        raise FeaturesTooLargeError("Features are too large for fp16; use --set cache.dtype=fp32.")
    return stored.numpy()
