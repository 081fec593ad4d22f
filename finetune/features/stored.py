"""Stored features as arrays that read what is asked for and no more."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finetune.cache import UseMark
from finetune.features.shards import ShardLayout, map_shard


class FeatureArray(Protocol):
    """One tensor of the cut for all images and views: (images, views, ...)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(images, views, ...)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the stored numbers."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: tuple[NDArray[np.int64], NDArray[np.int64]], /) -> NDArray[Any]: ...


Features = Sequence[FeatureArray]


class StoredArray:
    """An array that lies in shards, mapped from disk.

    `array[rows, views]` is numpy's fancy indexing with two rows of integers, or one view for all
    rows: a new array (rows, ...). The shards stay in use as long as the array is there.
    """

    def __init__(self, pieces: Sequence[NDArray[Any]], images_per_shard: int, mark: UseMark) -> None:
        self.pieces, self.images_per_shard, self.mark = pieces, images_per_shard, mark
        self.shape: tuple[int, ...] = (sum(len(piece) for piece in pieces), *pieces[0].shape[1:])
        self.dtype: np.dtype[Any] = pieces[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: tuple[ArrayLike, ArrayLike]) -> NDArray[Any]:
        rows, views = np.broadcast_arrays(*index)
        if len(rows) and rows.min() < 0:  # would be the end of a shard, not of the whole
            raise IndexError(f"rows are counted from 0, got {rows.min()}")
        shards, inside = np.divmod(rows, self.images_per_shard)
        read = np.empty((len(rows), *self.shape[2:]), self.dtype)
        places = zip(shards.tolist(), inside.tolist(), views.tolist(), strict=True)
        for number, (shard, row, view) in enumerate(places):  # row by row: fancy indexing of each shard copies twice
            read[number] = self.pieces[shard][row, view]
        return read


def map_features(folder: Path, layout: ShardLayout, mark: UseMark) -> list[StoredArray]:
    """Every array of an entry whose shards are whole."""
    shards = [map_shard(folder, layout, number) for number in range(len(layout))]
    return [StoredArray(pieces, layout.images_per_shard, mark) for pieces in zip(*shards, strict=True)]


class DealtArray:
    """An array that was dealt out over several: image i is number i // n of share i % n, of n shares."""

    def __init__(self, shares: Sequence[FeatureArray]) -> None:
        self.shares = shares
        self.shape: tuple[int, ...] = (sum(len(share) for share in shares), *shares[0].shape[1:])
        self.dtype: np.dtype[Any] = np.result_type(*(share.dtype for share in shares))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: tuple[ArrayLike, ArrayLike]) -> NDArray[Any]:
        rows, views = np.broadcast_arrays(*index)
        places, owners = np.divmod(rows, len(self.shares))
        read = np.empty((len(rows), *self.shape[2:]), self.dtype)
        for number, share in enumerate(self.shares):
            own = owners == number
            read[own] = share[places[own], views[own]]
        return read
