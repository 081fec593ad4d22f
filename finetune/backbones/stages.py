"""One vocabulary over all architectures: stem, stage1 to stage4, head."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from finetune.backbones.known_levels import KNOWN_HEADS
from finetune.backbones.levels import find_levels
from finetune.errors import NoClassifierError

STAGES = ("stem", "stage1", "stage2", "stage3", "stage4", "head")
_HEAD_CHILDREN = ("fc", "head", "heads", "classifier")


@dataclass(frozen=True)
class StageMap:
    """The stage of every module, parameter and buffer of one model, by dotted name; `rule` says how it was found."""

    modules: dict[str, str]
    parameters: dict[str, str]
    buffers: dict[str, str]
    rule: str = ""

    @cached_property
    def empty_stages(self) -> tuple[str, ...]:
        """Stages that own no parameter."""
        used = set(self.parameters.values())
        return tuple(stage for stage in STAGES if stage not in used)


def map_stages(model: nn.Module) -> StageMap:
    """Give every module, parameter and buffer of `model` its stage; timm's models and any other.

    The classifier is the head: timm says which modules it is; elsewhere it is the last linear
    layer, or a child called fc, head or classifier without one. What comes before the first level
    of the body is the stem, as far as timm's `group_matcher` says so where it exists. Levels become
    stages as `find_levels` describes; what follows the last one and is not the head is stage4.

    Raises NoClassifierError for an encoder, FreezeError where four stages cannot be told apart.
    """
    modules = [name for name, _ in model.named_modules() if name]
    head = _classifier_names(model)
    if not head:
        raise _no_classifier(model)
    body, rule = find_levels(model, head)

    def stage_of(name: str) -> str:
        return "head" if any(f"{name}.".startswith(f"{part}.") for part in head) else body(name)

    def staged(names: Iterable[str]) -> dict[str, str]:
        return {name: stage_of(name) for name in names}

    return StageMap(
        modules=staged(modules),
        parameters=staged(name for name, _ in model.named_parameters(remove_duplicate=False)),
        buffers=staged(name for name, _ in model.named_buffers(remove_duplicate=False)),
        rule=rule,
    )


def replace_classifier(model: nn.Module, classes: int) -> None:
    """Give a timm model a new classifier for `classes` classes; NoClassifierError where it takes none."""
    reset_classifier = getattr(model, "reset_classifier", None)
    if not callable(reset_classifier):
        raise _no_classifier(model)
    reset_classifier(num_classes=classes)


def _no_classifier(model: nn.Module) -> NoClassifierError:
    return NoClassifierError(f"{type(model).__name__} takes no classifier, so it cannot learn to name classes.")


def _classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Modules with parameters that turn features into classes; timm names more than one for distilled models."""
    modules = {name: module for name, module in model.named_modules() if any(True for _ in module.parameters())}
    config: dict[str, Any] | None = getattr(model, "pretrained_cfg", None)
    get_classifier = getattr(model, "get_classifier", None)
    if config is None and get_classifier is None:
        return _last_linear(modules)
    named = (config or {}).get("classifier") or ()
    names = [name for name in ((named,) if isinstance(named, str) else named) if name in modules]
    found = get_classifier() if callable(get_classifier) else ()
    held = {id(module) for module in (found if isinstance(found, (tuple, list)) else (found,))}
    others = [name for name, module in modules.items() if name and id(module) in held]
    bare = KNOWN_HEADS.get(type(model).__name__, ())
    return (*names, *(name for name in others if not any(f"{one}.".startswith(f"{name}.") for one in names)), *bare)


def _last_linear(modules: dict[str, nn.Module]) -> tuple[str, ...]:
    """The last linear layer, of the child named like a classifier where there is one."""
    child = next((name for name in reversed(modules) if name in _HEAD_CHILDREN), "")
    inside = {name: module for name, module in modules.items() if not child or f"{name}.".startswith(f"{child}.")}
    linear = [name for name, module in inside.items() if isinstance(module, nn.Linear)]
    return tuple(linear[-1:]) or ((child,) if child else ())
