"""Backbones: a timm architecture with its weights, its preprocessing and its stages."""

from finetune.backbones.loading import Backbone, load_backbone
from finetune.backbones.stages import STAGES, StageMap, map_stages

__all__ = ["STAGES", "Backbone", "StageMap", "load_backbone", "map_stages"]
