"""Read the `model/` folder of a run back, whichever head it was saved with."""

import json
from pathlib import Path
from typing import Any

import timm
from timm.models._hub import load_model_config_from_path

from finetune.backbones import Backbone, Strides, check_strides, describe_backbone, read_weights
from finetune.backbones.small_images import SMALL, STANDARD, shrink_stem
from finetune.errors import WeightsError
from finetune.heads.multi_stage import add_multi_stage_head


def load_model(folder: Path | str) -> Backbone:
    """The network of `config.json` with every tensor of `model.safetensors`, in evaluation mode.

    Raises WeightsError where a file is missing or broken, or the tensors are not exactly those of the network.
    """
    folder = Path(folder)
    head, weights = _saved_head(folder), read_weights(folder / "model.safetensors")
    architecture = _read_config(folder).get("architecture")
    if not isinstance(architecture, str) or not timm.is_model(architecture):
        raise WeightsError(f"{folder}: config.json names no architecture of timm {timm.__version__}: {architecture!r}.")
    model, strides = _build(folder)
    backbone = describe_backbone(architecture, model, is_pretrained=True, strides=strides)
    if head == "multi-stage":
        backbone = add_multi_stage_head(backbone, model.num_classes)
    try:
        backbone.model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        told = " ".join(str(error).split())
        raise WeightsError(f"{folder}: model.safetensors is not what config.json says: {told}") from error
    backbone.model.eval()
    return backbone


def saved_labels(folder: Path | str) -> tuple[str, ...]:
    """The classes of a saved network, in the order of its scores.

    Raises WeightsError where `config.json` is missing or broken, or names none.
    """
    folder = Path(folder)
    labels = _read_config(folder).get("label_names")
    if not isinstance(labels, list) or not labels:
        raise WeightsError(f"{folder}: config.json names no classes (label_names); save the model again with a run.")
    return tuple(str(label) for label in labels)


def _build(folder: Path) -> tuple[Any, Strides]:
    """The network of `config.json` with random weights: as timm builds it, with a small stem where it names one."""
    config, architecture, arguments = load_model_config_from_path(folder)
    strides = Strides(arguments.get("output_stride"), str(arguments.pop("stem", STANDARD.stem)))
    check_strides(architecture, strides)
    model = timm.create_model(architecture, pretrained_cfg=config, **arguments)
    if strides.stem == SMALL:
        shrink_stem(model, is_drawn=True)
    return model, strides


def _saved_head(folder: Path) -> str:
    own = _read_config(folder).get("tailtune")
    return str(own.get("head", "linear")) if isinstance(own, dict) else "linear"


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder} holds no saved model: its config.json cannot be read ({error}).") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{folder} holds no saved model: its config.json holds no JSON object.")
    return content
