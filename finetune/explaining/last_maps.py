"""The values of a network's last stage that have positions, heard while it runs."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from finetune.backbones import STAGES, Backbone
from finetune.freezing.tracing import untouched_attributes
from finetune.heads.multi_stage import POOLS
from finetune.heads.stage_values import position_axes

_LAST = STAGES[4]
_CONTAINERS = (nn.Sequential, nn.ModuleList)
_MOST_PREFIX = 2
"""Tokens that stand before those of patches in networks that do not tell: one for the class, one for a teacher."""


@contextmanager
def evaluated(model: nn.Module) -> Iterator[None]:
    """Inside, every module of `model` is in evaluation mode; afterwards all are as they were."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = False
        with untouched_attributes(model):
            yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def heard_maps(backbone: Backbone) -> Iterator[list[Tensor]]:
    """A list that fills, in order, with what the blocks of the last stage give in a forward pass of one image.

    A network with a multi-stage head is run from its graph, where a block is no module: there the last of them is what
    the head's pool of the stage is given.
    """
    heard: list[Tensor] = []

    def note(value: Any) -> None:
        if isinstance(value, Tensor) and value.requires_grad and value.ndim in (3, 4) and len(value) == 1:
            heard.append(value)

    with ExitStack() as hooks:
        for module in _blocks(backbone):
            hooks.callback(module.register_forward_hook(lambda _, __, made: note(made)).remove)
        if backbone.plain is not None:
            pool = backbone.model.get_submodule(f"{POOLS}.{_LAST}")
            hooks.callback(pool.register_forward_pre_hook(lambda _, given: note(given[0])).remove)
        yield heard


def _blocks(backbone: Backbone) -> list[nn.Module]:
    stages, modules = backbone.stages.modules, dict(backbone.model.named_modules())
    return [
        modules[name]
        for name, stage in stages.items()
        if stage == _LAST and _is_block(name.rpartition(".")[0], stages, modules)
    ]


def _is_block(parent: str, stages: dict[str, str], modules: dict[str, nn.Module]) -> bool:
    """Whether the children of `parent` are steps of the stage, and not the inside of one."""
    return stages.get(parent) != _LAST or isinstance(modules[parent], _CONTAINERS)


def to_grid(value: Tensor, backbone: Backbone, image: torch.Size) -> Tensor | None:
    """A map or sequence of tokens (1, ...) as (channels, rows, columns), without tokens that are no place.

    None for what has one position, or has not the proportion of the image (height, width).
    """
    if value.ndim == 4:
        is_channels_first = position_axes(tuple(value.shape), tuple(image)) == (2, 3)
        grid = value[0] if is_channels_first else value[0].movedim(-1, 0)
        return grid if _is_grid(grid.shape[1], grid.shape[2], image) else None
    tokens = value[0]  # (positions, channels)
    told = getattr(backbone.plain or backbone.model, "num_prefix_tokens", None)
    for prefix in range(_MOST_PREFIX + 1) if told is None else (told,):
        positions = len(tokens) - prefix
        rows = round(math.sqrt(max(0, positions) * image[0] / image[1]))
        if rows and positions % rows == 0 and _is_grid(rows, positions // rows, image):
            return tokens[prefix:].T.reshape(-1, rows, positions // rows)
    return None


def _is_grid(rows: int, columns: int, image: torch.Size) -> bool:
    """Whether so many positions are several, and lie over the image in squares, but for a row or column cut off."""
    height, width = image
    return rows * columns > 1 and abs(rows * width - columns * height) <= max(height, width)
