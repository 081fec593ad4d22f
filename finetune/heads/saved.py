"""Read the `model/` folder of a run back, whichever head it was saved with."""

import json
from pathlib import Path
from typing import Any

import timm

from finetune.backbones import Backbone, describe_backbone, read_weights
from finetune.errors import WeightsError
from finetune.heads.multi_stage import add_multi_stage_head


def load_model(folder: Path | str) -> Backbone:
    """The network of `config.json` with every tensor of `model.safetensors`, in evaluation mode.

    Raises WeightsError where a file is missing or broken, or the tensors are not exactly those of the network.
    """
    folder = Path(folder)
    head, weights = _saved_head(folder), read_weights(folder / "model.safetensors")
    model: Any = timm.create_model(f"local-dir:{folder}", pretrained=False)
    backbone = describe_backbone(model.pretrained_cfg["architecture"], model, is_pretrained=True)
    if head == "multi-stage":
        backbone = add_multi_stage_head(backbone, model.num_classes)
    try:
        backbone.model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{folder}: model.safetensors is not what config.json says: {error}") from error
    backbone.model.eval()
    return backbone


def _saved_head(folder: Path) -> str:
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return str(content.get("tailtune", {}).get("head", "linear"))
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(f"{folder} holds no saved model: its config.json cannot be read ({error}).") from error
