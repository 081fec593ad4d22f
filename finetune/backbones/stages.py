"""One vocabulary over all architectures: stem, stage1 to stage4, head."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from timm.models import group_parameters
from torch import nn

from finetune.errors import FreezeError

STAGES = ("stem", "stage1", "stage2", "stage3", "stage4", "head")
_STAGE_REDUCTIONS = {4: "stage1", 8: "stage2", 16: "stage3", 32: "stage4"}


@dataclass(frozen=True)
class StageMap:
    """The stage of every module, parameter and buffer of one model, by dotted name."""

    modules: dict[str, str]
    parameters: dict[str, str]
    buffers: dict[str, str]

    @cached_property
    def empty_stages(self) -> tuple[str, ...]:
        """Stages that own no parameter."""
        used = set(self.parameters.values())
        return tuple(stage for stage in STAGES if stage not in used)


def map_stages(model: nn.Module) -> StageMap:
    """Give every module, parameter and buffer of a timm `model` its stage.

    Hierarchical networks: stage k ends with the last module whose feature map is reduced
    2^(k+1) times, as `feature_info` says; what follows the last one and is not the classifier
    belongs to stage4. Other networks: the layers that timm's `group_matcher` counts, in four
    runs of equal depth. The stem is what `group_matcher` calls so; the classifier is the head.

    Raises FreezeError when the model tells neither.
    """
    modules = [name for name, _ in model.named_modules() if name]
    head = _classifier_names(model)
    boundaries = _reduction_boundaries(model, modules)
    if boundaries:
        body = {name: _stage_at(position, boundaries) for position, name in enumerate(modules)}
    else:
        body = _equal_runs(model, modules)
    stem = _stem_pattern(model)

    def stage_of(name: str, owner: str) -> str:
        if any(name == prefix or name.startswith(prefix + ".") for prefix in head):
            return "head"
        if stem is not None and stem.match(name):
            return "stem"
        return body.get(owner, "stem")

    def owned(names: list[str]) -> dict[str, str]:
        return {name: stage_of(name, name.rpartition(".")[0]) for name in names}

    return StageMap(
        modules={name: stage_of(name, name) for name in modules},
        parameters=owned([name for name, _ in model.named_parameters(remove_duplicate=False)]),
        buffers=owned([name for name, _ in model.named_buffers(remove_duplicate=False)]),
    )


def _classifier_names(model: nn.Module) -> tuple[str, ...]:
    config: dict[str, Any] = getattr(model, "pretrained_cfg", None) or {}
    named = config.get("classifier") or ()
    names = (named,) if isinstance(named, str) else tuple(named)
    if names:
        return names
    get_classifier = getattr(model, "get_classifier", None)
    found = get_classifier() if callable(get_classifier) else None
    return tuple(name for name, module in model.named_modules() if name and module is found)


def _stem_pattern(model: nn.Module) -> re.Pattern[str] | None:
    matcher = _group_matcher(model, coarse=True)
    stem = matcher.get("stem") if isinstance(matcher, dict) else None
    return re.compile(stem) if isinstance(stem, str) else None


def _group_matcher(model: nn.Module, coarse: bool) -> Any:
    """timm's own grouping: a dict of regular expressions, in a few models a function of the name."""
    group_matcher = getattr(model, "group_matcher", None)
    return group_matcher(coarse=coarse) if callable(group_matcher) else None


def _feature_rows(model: nn.Module) -> list[dict[str, Any]]:
    info: Any = getattr(model, "feature_info", None) or []
    return list(getattr(info, "info", info))


def _reduction_boundaries(model: nn.Module, modules: list[str]) -> list[tuple[int, str]]:
    """Position of the last module of each stage; empty where the network is not hierarchical."""
    last: dict[str, int] = {}
    for row in _feature_rows(model):
        stage = _STAGE_REDUCTIONS.get(row["reduction"])
        inside = [
            position
            for position, name in enumerate(modules)
            if name == row["module"] or name.startswith(row["module"] + ".")
        ]
        if stage and inside:
            last[stage] = max(inside)
    if len(last) < len(_STAGE_REDUCTIONS):
        return []
    return sorted((position, stage) for stage, position in last.items())


def _stage_at(position: int, boundaries: list[tuple[int, str]]) -> str:
    return next((stage for end, stage in boundaries if position <= end), boundaries[-1][1])


def _equal_runs(model: nn.Module, modules: list[str]) -> dict[str, str]:
    """Four runs of equal depth over the layers that timm counts, the stem left out."""
    matcher = _group_matcher(model, coarse=False)
    if matcher is None:
        raise FreezeError(
            f"{type(model).__name__} tells neither its feature reductions nor its layer groups; "
            "stages cannot be named. Use --freeze full, or patterns over parameter names."
        )
    layers = group_parameters(model, matcher, reverse=True)
    depth = sorted({layer for name, layer in layers.items() if not _is_outer(model, name, layer)})
    if len(depth) < 4:
        raise FreezeError(f"{type(model).__name__} has {len(depth)} layers; four stages need at least four.")
    run = {layer: f"stage{1 + index * 4 // len(depth)}" for index, layer in enumerate(depth)}
    return {name: _stage_of_subtree(name, layers, run) for name in modules}


def _is_outer(model: nn.Module, name: str, layer: int) -> bool:
    stem = _stem_pattern(model)
    in_head = any(name.startswith(prefix + ".") for prefix in _classifier_names(model))
    after_blocks = name.count(".") <= 1
    return in_head or after_blocks or (stem is not None and stem.match(name) is not None)


def _stage_of_subtree(module: str, layers: dict[str, int], run: dict[int, str]) -> str:
    inside = [layer for name, layer in layers.items() if name.startswith(module + ".")]
    known = [layer for layer in inside if layer in run]
    if known:
        return run[min(known)]
    return "stage4" if inside and min(inside) > min(run) else "stem"
