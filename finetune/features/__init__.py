"""Trunk execution and the feature store: what is frozen runs once per view; maps of the stages for detection."""

from finetune.features.arithmetic import (
    BF16,
    FP16,
    FP32,
    FP64,
    check_arithmetic,
    choose_arithmetic,
    computing_in,
    scoring_arithmetic,
    widened,
    working_dtype,
)
from finetune.features.bridge import run_bridge
from finetune.features.feature_pyramid import Pyramid, pyramid
from finetune.features.folding import fold_norms
from finetune.features.identity import StoreIdentity, describe_device
from finetune.features.images import ImageViews, Viewer
from finetune.features.sources import FeatureSource, FreshSource, PickedSource, StoredSource
from finetune.features.store import FeatureStore
from finetune.features.stored import Features
from finetune.features.trunk import estimate_norms, run_trunk

__all__ = [
    "BF16",
    "FP16",
    "FP32",
    "FP64",
    "FeatureSource",
    "FeatureStore",
    "Features",
    "PickedSource",
    "Pyramid",
    "FreshSource",
    "ImageViews",
    "StoreIdentity",
    "StoredSource",
    "Viewer",
    "check_arithmetic",
    "choose_arithmetic",
    "computing_in",
    "describe_device",
    "estimate_norms",
    "fold_norms",
    "pyramid",
    "run_bridge",
    "run_trunk",
    "scoring_arithmetic",
    "widened",
    "working_dtype",
]
