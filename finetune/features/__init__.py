"""Trunk execution and the feature store: what is frozen runs once per view."""

from finetune.features.folding import fold_norms
from finetune.features.images import ImageViews, Viewer
from finetune.features.sources import FeatureSource, FreshSource, StoredSource
from finetune.features.store import FeatureStore, StoreIdentity, default_store_folder
from finetune.features.trunk import estimate_norms, run_trunk

__all__ = [
    "FeatureSource",
    "FeatureStore",
    "FreshSource",
    "ImageViews",
    "StoreIdentity",
    "StoredSource",
    "Viewer",
    "default_store_folder",
    "estimate_norms",
    "fold_norms",
    "run_trunk",
]
