"""Save a model so that plain timm loads it: timm.create_model("local-dir:FOLDER", pretrained=True)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from timm.models import save_for_hf

from finetune.backbones import Backbone


def save_timm_folder(backbone: Backbone, labels: Sequence[str], folder: Path) -> None:
    """Write config.json and model.safetensors: timm's own keys, all of them, and the preprocessing used."""
    backbone.model.to(memory_format=torch.contiguous_format)
    height, width = backbone.preprocessing.height, backbone.preprocessing.width
    save_for_hf(
        backbone.model,
        str(folder),
        model_config={"label_names": list(labels)},
        data_config={"input_size": (3, height, width), "crop_pct": backbone.preprocessing.crop_pct},
        safe_serialization=True,
    )
