"""What a stage is made of: types of blocks, how often they repeat, and the shape of what leaves it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from finetune.backbones import STAGES, Backbone, StageMap
from finetune.jobs.planning import example_images

_LISTS = (nn.Sequential, nn.ModuleList)


def list_blocks(model: nn.Module, modules: Sequence[str]) -> list[dict[str, Any]]:
    """Types of the blocks in the outermost `modules` of a stage, in order, each with how often it follows itself."""
    tops = [model.get_submodule(name) for name in modules]
    is_alone = len(tops) == 1
    types = [type(block).__name__ for top in tops for block in _blocks(top, is_alone=is_alone)]
    return [{"type": name, "repeats": len(list(same))} for name, same in groupby(types)]


def _blocks(top: nn.Module, *, is_alone: bool) -> Iterator[nn.Module]:
    """Lists are opened, and so is what is a stage by itself: several outermost modules are blocks already."""
    if type(top) in _LISTS or (_is_stage(top) if is_alone else _holds_one_type(top)):
        for child in top.children():
            yield from _opened(child)
    else:
        yield top


def _opened(module: nn.Module) -> Iterator[nn.Module]:
    if type(module) in _LISTS:
        for child in module.children():
            yield from _opened(child)
    elif _has_parameters(module):
        yield module


def _is_stage(module: nn.Module) -> bool:
    """Whether a module holds a list of blocks, as a ConvNeXtStage does, or nothing but blocks of one type."""
    lists = [child for child in module.children() if type(child) in _LISTS]
    return _holds_one_type(module) or any(_is_own_type(block) for one in lists for block in _opened(one))


def _holds_one_type(module: nn.Module) -> bool:
    children = [child for child in module.children() if _has_parameters(child)]
    return len({type(child) for child in children}) == 1 and _is_own_type(children[0])


def _is_own_type(module: nn.Module) -> bool:
    """Whether it is more than a layer of PyTorch."""
    return not type(module).__module__.startswith("torch.nn")


def _has_parameters(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())


def output_shapes(backbone: Backbone) -> dict[str, list[int] | None]:
    """Shape of what leaves each stage for one image, without the batch: a map or tokens, where the stage makes any.

    None for a stage without modules. Behind another head than timm's the body is the same.
    """
    model = backbone.plain or backbone.model
    images = example_images(backbone, next(model.parameters()).device)
    heard: dict[str, list[list[int]]] = {stage: [] for stage in STAGES}

    def hear(stage: str, value: Any) -> None:
        if isinstance(value, Tensor) and value.ndim > 1:
            heard[stage].append(list(value.shape[1:]))

    parts = _outermost_modules(model, backbone.stages)
    with ExitStack() as hooks, torch.no_grad():
        for name, stage in parts.items():
            module = model.get_submodule(name)
            hooks.callback(module.register_forward_hook(lambda _, __, made, own=stage: hear(own, made)).remove)
        model.eval()(images)
    return {stage: _last(shapes) for stage, shapes in heard.items()}


def _outermost_modules(model: nn.Module, stages: StageMap) -> dict[str, str]:
    """The outermost modules all of whose insides are of one stage, and that stage."""
    found: dict[str, set[str]] = {}
    for name, _ in model.named_modules():
        parts = name.split(".") if name else []
        for depth in range(len(parts)):
            found.setdefault(".".join(parts[: depth + 1]), set()).add(stages.modules.get(name, STAGES[-1]))
    whole = {name: next(iter(inside)) for name, inside in found.items() if len(inside) == 1}
    return {name: stage for name, stage in whole.items() if name.rpartition(".")[0] not in whole}


def _last(shapes: Sequence[list[int]]) -> list[int] | None:
    """The last shape with several positions, since pooling counts to the last stage; else the last of all."""
    spread = [shape for shape in shapes if len(shape) > 1 and min(shape) > 1]
    placed = [shape for shape in shapes if len(shape) > 1]
    return next((one[-1] for one in (spread, placed, shapes) if one), None)
