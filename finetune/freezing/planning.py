"""Resolve a freeze policy against one backbone, parameter by parameter."""

import difflib
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from finetune.backbones import STAGES, StageMap
from finetune.errors import FreezeError
from finetune.freezing.policy import FreezePolicy


@dataclass(frozen=True)
class StageRow:
    """One stage in numbers: elements of its parameters and buffers, and how many of them are frozen."""

    name: str
    parameters: int
    buffers: int
    frozen_parameters: int

    @property
    def is_frozen(self) -> bool:
        """Whether the stage has parameters and none of them learns."""
        return 0 < self.parameters == self.frozen_parameters


class Staged(Protocol):
    """A network whose stages are known; every `Backbone` is one."""

    @property
    def model(self) -> nn.Module: ...
    @property
    def stages(self) -> StageMap: ...
    @property
    def is_pretrained(self) -> bool: ...


@dataclass(frozen=True)
class StagedModel:
    """A network that is no `Backbone`, and its stages."""

    model: nn.Module
    stages: StageMap
    is_pretrained: bool = False


@dataclass(frozen=True)
class FreezePlan:
    """What of one network is frozen; names are the dotted names of the model.

    `eval_modules` stay in eval mode during training: every module that is frozen as a whole, and
    the norm layers of the tail where their statistics are fixed. `frozen_buffers` are theirs.
    `frozen_norms` are the BatchNorm layers that do not learn, whatever their statistics do.
    """

    policy: str
    stages: tuple[StageRow, ...]
    frozen_parameters: frozenset[str]
    trainable_parameters: frozenset[str]
    frozen_buffers: frozenset[str]
    eval_modules: frozenset[str]
    frozen_norms: frozenset[str] = frozenset()

    @property
    def frozen_count(self) -> int:
        """Elements of all frozen parameters."""
        return sum(row.frozen_parameters for row in self.stages)

    @property
    def trainable_count(self) -> int:
        """Elements of all parameters that learn."""
        return sum(row.parameters - row.frozen_parameters for row in self.stages)


def plan_freeze(backbone: Staged, policy: FreezePolicy, *, tail_norm: str = "auto", norm: str = "frozen") -> FreezePlan:
    """Decide, parameter by parameter, what of `backbone` will learn.

    `tail_norm`: 'fixed' keeps the statistics of the BatchNorm layers that learn, 'batch' lets them
    follow the batches, 'auto' fixes them where the weights are pretrained. `norm`: 'train' lets the
    statistics of the frozen ones follow the batches too; 'frozen' and 'adapt' keep them.

    Raises FreezeError when a pattern matches no parameter, naming the nearest names, and when
    nothing would learn.
    """
    model, stages = backbone.model, backbone.stages
    names = list(stages.parameters)
    frozen = {name for name in names if stages.parameters[name] in policy.stages}
    for pattern in policy.patterns:
        frozen.update(_matching(pattern, names))
    if policy.spares_norms:
        frozen -= _norm_parameters(model)
    frozen -= _shared_with_trainable(model, frozen)
    if len(frozen) == len(names):
        raise FreezeError(f"Policy {policy.text!r} freezes everything; at least the head must learn.")
    whole = _modules_frozen_whole(model, stages, frozen, policy)
    norms = {name for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    frozen_norms = norms & whole
    eval_modules = whole - frozen_norms if norm == "train" else whole
    if tail_norm == "fixed" or (tail_norm == "auto" and backbone.is_pretrained):
        eval_modules |= norms - frozen_norms
    buffers = {name for name in stages.buffers if name.rpartition(".")[0] in eval_modules}
    return FreezePlan(
        policy=policy.text,
        stages=_stage_rows(model, stages, frozen),
        frozen_parameters=frozenset(frozen),
        trainable_parameters=frozenset(names) - frozen,
        frozen_buffers=frozenset(buffers),
        eval_modules=frozenset(eval_modules),
        frozen_norms=frozenset(frozen_norms),
    )


def frozen_throughout(backbone: Staged, plans: Sequence[FreezePlan], policy: str) -> FreezePlan:
    """The plan of what stays frozen in every one of `plans` of `backbone`."""

    def common(sets: Iterable[frozenset[str]]) -> frozenset[str]:
        return frozenset.intersection(*sets)

    frozen = common(plan.frozen_parameters for plan in plans)
    return FreezePlan(
        policy=policy,
        stages=_stage_rows(backbone.model, backbone.stages, frozen),
        frozen_parameters=frozen,
        trainable_parameters=frozenset(backbone.stages.parameters) - frozen,
        frozen_buffers=common(plan.frozen_buffers for plan in plans),
        eval_modules=common(plan.eval_modules for plan in plans),
        frozen_norms=common(plan.frozen_norms for plan in plans),
    )


def _norm_parameters(model: nn.Module) -> set[str]:
    """Names of the parameters that norm layers hold themselves: scales and shifts."""
    return {
        f"{name}.{own}" if name else own
        for name, module in model.named_modules()
        if "Norm" in type(module).__name__
        for own, _ in module.named_parameters(recurse=False)
    }


def _matching(pattern: str, names: list[str]) -> set[str]:
    found = {name for name in names if fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")}
    if not found:
        near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.3)
        raise FreezeError(f"Pattern {pattern!r} matches no parameter; nearest names: {', '.join(near) or names[0]}.")
    return found


def _shared_with_trainable(model: nn.Module, frozen: set[str]) -> set[str]:
    """Frozen names whose tensor also stands under a name that learns: a shared tensor learns."""
    everywhere = dict(model.named_parameters(remove_duplicate=False))
    learning = {id(parameter) for name, parameter in everywhere.items() if name not in frozen}
    return {name for name in frozen if id(everywhere[name]) in learning}


def _modules_frozen_whole(model: nn.Module, stages: StageMap, frozen: set[str], policy: FreezePolicy) -> set[str]:
    """Modules all of whose parameters are frozen, with everything inside them."""
    chosen: set[str] = set()
    for name, module in model.named_modules():
        inside = [f"{name}.{own}" if name else own for own, _ in module.named_parameters(remove_duplicate=False)]
        if frozen.issuperset(inside) if inside else _is_in_frozen_stage(name, stages, policy):
            chosen.update(own for own, _ in module.named_modules(prefix=name))
    return chosen


def _is_in_frozen_stage(name: str, stages: StageMap, policy: FreezePolicy) -> bool:
    """Modules without parameters (dropout, stochastic depth) follow their stage."""
    return stages.modules.get(name) in policy.stages


def _stage_rows(model: nn.Module, stages: StageMap, frozen: AbstractSet[str]) -> tuple[StageRow, ...]:
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    buffers = {name: buffer.numel() for name, buffer in model.named_buffers()}
    return tuple(
        StageRow(
            name=stage,
            parameters=sum(size for name, size in sizes.items() if stages.parameters[name] == stage),
            buffers=sum(size for name, size in buffers.items() if stages.buffers[name] == stage),
            frozen_parameters=sum(
                size for name, size in sizes.items() if stages.parameters[name] == stage and name in frozen
            ),
        )
        for stage in STAGES
    )
