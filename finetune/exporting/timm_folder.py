"""Save a model as timm does: config.json and model.safetensors."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.models._hub import save_config_for_hf, save_for_hf

from data_tools.private import make_private_folder
from finetune.backbones import Backbone
from finetune.heads import multi_stage_head


def save_model_folder(backbone: Backbone, labels: Sequence[str], folder: Path) -> None:
    """Write a folder from which `finetune.load_model` reads the same network; plain timm too, if it can build it."""
    make_private_folder(folder)
    if backbone.plain is None:
        save_timm_folder(backbone, labels, folder)
        return
    backbone.model.to(memory_format=torch.contiguous_format)
    save_file(backbone.model.state_dict(), folder / "model.safetensors")
    head = multi_stage_head(backbone)
    own = {"head": backbone.head, "features": head.fc.in_features, "plain_features": head.plain_width}
    save_config_for_hf(
        backbone.plain,
        str(folder / "config.json"),
        model_config={"label_names": list(labels), "tailtune": own},
        model_args=_model_args(backbone),
        data_config=_data_config(backbone),
    )


def save_timm_folder(backbone: Backbone, labels: Sequence[str], folder: Path) -> None:
    """Write a folder that plain timm loads: timm.create_model("local-dir:FOLDER", pretrained=True).

    It has timm's own keys, all of them, and the preprocessing used. A small stem timm refuses, since it does not know
    the argument `stem` that `config.json` names then.
    """
    backbone.model.to(memory_format=torch.contiguous_format)
    save_for_hf(
        backbone.model,
        str(folder),
        model_config={"label_names": list(labels)},
        model_args=_model_args(backbone),
        data_config=_data_config(backbone),
        safe_serialization=True,
    )


def _data_config(backbone: Backbone) -> dict[str, object]:
    preprocessing = backbone.preprocessing
    grey = {"mean": preprocessing.mean, "std": preprocessing.std} if preprocessing.channels == 1 else {}
    return {"input_size": preprocessing.shape, "crop_pct": preprocessing.crop_pct, **grey}


def _model_args(backbone: Backbone) -> dict[str, int | str] | None:
    """What must be told to build the network, beside its name; timm does not know a small stem."""
    grey = {"in_chans": 1} if backbone.preprocessing.channels == 1 else {}
    return {**grey, **backbone.strides.model_args} or None
