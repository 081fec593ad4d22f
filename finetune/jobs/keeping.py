"""Which decoded pixels a run keeps, where, and in how much room."""

from data_tools import (
    Keeping,
    PixelStore,
    Preprocessing,
    evaluation_geometry,
    thumbnail_geometry,
    training_geometry,
)
from finetune.cache import default_cache_folder
from finetune.features import FeatureStore
from recipes import Recipe

_SHARE = 2
"""Pixels take at most this part of what the cache may hold; the rest is for features."""


def open_keeping(recipe: Recipe, preprocessing: Preprocessing) -> Keeping:
    """The store of decoded pixels, and the geometries in which a run with this recipe looks at images."""
    root, budget = default_cache_folder(), recipe.cache.budget_gb
    room = FeatureStore(root, None if budget is None else int(budget * 1e9)).budget()
    training, evaluation = training_geometry(recipe.augment.preset, preprocessing), evaluation_geometry(preprocessing)
    geometries = dict.fromkeys((training, evaluation, thumbnail_geometry()))
    return Keeping(PixelStore(root / "pixels", room // _SHARE), tuple(geometries))
