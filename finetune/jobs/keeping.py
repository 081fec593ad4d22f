"""Which decoded pixels a run keeps, where, and in how much room."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from data_tools import (
    Dataset,
    Geometry,
    Keeping,
    PixelStore,
    Preprocessing,
    Scaling,
    evaluation_geometry,
    thumbnail_geometry,
    training_geometry,
)
from finetune.cache import CacheFolder, default_cache_folder
from recipes import Recipe

_BITS = Scaling()
_SHARE = 2
"""Pixels take at most this part of what the cache may hold; the rest is for features."""


def cache_bytes(recipe: Recipe) -> int | None:
    """Bytes that the recipe lets the cache hold; None where it leaves that to the disk."""
    budget = recipe.cache.budget_gb
    return None if budget is None else int(budget * 1e9)


def open_keeping(recipe: Recipe, preprocessing: Preprocessing, scaling: Scaling = _BITS) -> Keeping:
    """The store of decoded pixels, and the geometries in which a run with this recipe looks at images."""
    return Keeping(open_store(recipe), list_geometries(recipe, preprocessing), scaling)


def list_geometries(recipe: Recipe, preprocessing: Preprocessing) -> tuple[Geometry, ...]:
    """The geometries in which a run with this recipe looks at images."""
    geometries = [evaluation_geometry(preprocessing), thumbnail_geometry()]
    if _makes_variants(recipe):
        geometries.append(training_geometry(recipe.augment.preset, preprocessing))
    return tuple(dict.fromkeys(geometries))


def open_store(recipe: Recipe) -> PixelStore:
    """The store of decoded pixels, in the room that the recipe and the disk leave it."""
    root = default_cache_folder()
    return PixelStore(root / "pixels", CacheFolder(root, cache_bytes(recipe)).budget() // _SHARE)


def small_pictures(dataset: Dataset, keeping: Keeping) -> Callable[[str], NDArray[np.uint8]]:
    """Reads an image of a dataset by its path in thumbnail size, kept where it can be."""
    digests = dict(zip(dataset.table["path"], dataset.table["sha256"], strict=True))
    return lambda path: keeping.pixels(dataset.root / path, digests.get(path, ""), thumbnail_geometry())


def evaluation_views(
    dataset: Dataset, keeping: Keeping, preprocessing: Preprocessing
) -> Callable[[str], NDArray[np.uint8]]:
    """Reads an image of a dataset by its path as evaluation sees it, kept where it can be."""
    digests = dict(zip(dataset.table["path"], dataset.table["sha256"], strict=True))
    geometry = evaluation_geometry(preprocessing)
    return lambda path: keeping.pixels(dataset.root / path, digests.get(path, ""), geometry)


def _makes_variants(recipe: Recipe) -> bool:
    """Whether training looks at more than the evaluation view, which is the first of those that are stored."""
    return recipe.augment.views > 1 or recipe.cache.mode in ("fresh", "whole")
