"""Backbones: a timm architecture with its weights, its preprocessing and its stages."""

from finetune.backbones.loading import Backbone, describe_backbone, expected_preprocessing, load_backbone
from finetune.backbones.small_images import Strides, check_strides, find_stages
from finetune.backbones.stages import STAGES, StageMap, map_stages
from finetune.backbones.weights import check_weights, read_weights

__all__ = [
    "STAGES",
    "Backbone",
    "StageMap",
    "Strides",
    "check_strides",
    "check_weights",
    "describe_backbone",
    "expected_preprocessing",
    "find_stages",
    "load_backbone",
    "map_stages",
    "read_weights",
]
