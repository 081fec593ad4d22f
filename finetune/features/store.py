"""The feature store: trunk outputs on disk, memory-mapped, under a key made of all that shapes them."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from finetune.errors import EnvironmentFault
from finetune.files import file_sha256, write_json

Features = list[np.ndarray[Any, Any]]


@dataclass(frozen=True)
class StoreIdentity:
    """Everything that shapes a feature; equal identities give equal bytes."""

    images: tuple[tuple[str, str], ...]
    pipeline: str
    seed: int
    views: int
    backbone: str
    frozen_sha256: str
    is_folded: bool
    cut: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtype: str
    batch_size: int
    threads: int
    device: str
    versions: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """sha256 of the identity, in hexadecimal."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def array_shapes(self) -> list[tuple[int, ...]]:
        """Shape of each stored array: (images, views, ...)."""
        return [(len(self.images), self.views, *shape) for shape in self.shapes]

    @property
    def size_bytes(self) -> int:
        """Size of all arrays on disk, without their headers."""
        width = np.dtype(self.dtype).itemsize
        return sum(width * int(np.prod(shape, dtype=np.int64)) for shape in self.array_shapes)


def default_store_folder() -> Path:
    """`$TAILTUNE_CACHE`, or the user's cache folder."""
    chosen = os.environ.get("TAILTUNE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(base) / "tailtune"


class FeatureStore:
    """Folders of features below `root`, one a key; written aside, then renamed, so never half there."""

    def __init__(self, root: Path, budget_bytes: int | None = None) -> None:
        self.root, self.budget_bytes = root, budget_bytes

    def open(self, identity: StoreIdentity) -> Features | None:
        """The stored arrays, read-only; None where there are none or a checksum does not fit."""
        folder = self.root / identity.key
        try:
            sums = json.loads((folder / "checksums.json").read_text())
            whole = all(file_sha256(folder / name) == digest for name, digest in sums.items())
            arrays = [np.load(folder / name, mmap_mode="r") for name in sorted(sums)] if whole else []
        except (OSError, ValueError):
            return None
        if [array.shape for array in arrays] != identity.array_shapes:
            return None
        os.utime(folder)
        return arrays

    def build(self, identity: StoreIdentity, batches: Iterator[tuple[Tensor, ...]]) -> Features:
        """Write `batches`, tensors (images, views, ...), and open the result.

        Raises EnvironmentFault when the disk cannot hold them.
        """
        aside = self.root / f".{identity.key}.{os.getpid()}.tmp"
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._make_room(identity.size_bytes)
            aside.mkdir(mode=0o700)
            names = _write_arrays(aside, identity, batches)
            write_json(aside / "checksums.json", {name: file_sha256(aside / name) for name in names})
            folder = self.root / identity.key
            if folder.exists():
                shutil.rmtree(folder)
            aside.replace(folder)
        except OSError as error:
            raise EnvironmentFault(
                f"{self.root} cannot hold the features ({identity.size_bytes / 1e6:.0f} MB): {error.strerror}. "
                "Free the disk, set TAILTUNE_CACHE to another one, or use --set cache.mode=fresh."
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return [np.load(folder / name, mmap_mode="r") for name in names]

    def has_room(self, size_bytes: int) -> bool:
        """Whether features of this size fit into the budget."""
        return size_bytes <= self.budget()

    def budget(self) -> int:
        """Bytes that the store may take: what was set, or the smaller of 10 GB and a fifth of the free disk."""
        if self.budget_bytes is not None:
            return self.budget_bytes
        existing = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        return min(10 * 10**9, shutil.disk_usage(existing).free // 5)

    def _make_room(self, size_bytes: int) -> None:
        """Remove the stores that were used longest ago until the new one fits the budget."""
        stores = sorted(
            (folder for folder in self.root.iterdir() if (folder / "checksums.json").exists()),
            key=lambda folder: folder.stat().st_mtime,
        )
        sizes = {folder: sum(file.stat().st_size for file in folder.iterdir()) for folder in stores}
        for folder in stores:
            if sum(sizes.values()) + size_bytes <= self.budget():
                return
            shutil.rmtree(folder)
            del sizes[folder]


def _write_arrays(folder: Path, identity: StoreIdentity, batches: Iterator[tuple[Tensor, ...]]) -> list[str]:
    names = [f"{index:02d}.npy" for index in range(len(identity.shapes))]
    arrays = [
        np.lib.format.open_memmap(folder / name, mode="w+", dtype=np.dtype(identity.dtype), shape=shape)
        for name, shape in zip(names, identity.array_shapes, strict=True)
    ]
    done = 0
    for features in batches:
        for array, feature in zip(arrays, features, strict=True):
            stored = feature.to(_torch_dtype(identity.dtype))
            if not stored.isfinite().all() and feature.isfinite().all():
                raise EnvironmentFault("Features are too large for fp16; use --set cache.dtype=fp32.")
            array[done : done + len(feature)] = stored.numpy()
        done += len(features[0])
    for array in arrays:
        array.flush()
    return names


def _torch_dtype(name: str) -> torch.dtype:
    return {"float16": torch.float16, "float32": torch.float32}[name]
