"""The freeze table of a model, as `finetune plan` shows it."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn

from finetune.backbones import STAGES, Backbone, StageMap, load_backbone
from finetune.freezing import Cut, FreezePlan, cut_model, keep_whole, lock_model
from finetune.jobs.heads import give_head
from finetune.jobs.macs import count_macs
from finetune.jobs.planning import PlannedPhase, Preview, plan_recipe, wanted_strides, wants_solved_head
from finetune.jobs.stage_contents import list_blocks, output_shapes
from finetune.training.optimizer import stage_factor, with_head_factor
from recipes import Recipe, TrainSettings


@dataclass(frozen=True)
class Sketch:
    """A plan without data and without weights, on the meta device."""

    backbone: Backbone
    plan: FreezePlan
    phases: tuple[PlannedPhase, ...]
    cut: Cut


def plan_without_weights(recipe: Recipe, classes: int) -> Sketch:
    """Plan and cut the recipe's backbone on the meta device: no weights are read or drawn, nothing is computed."""
    wanted, dropout = recipe.model, recipe.head.dropout
    with torch.device("meta"):
        drawn = load_backbone(
            wanted.name,
            "none",
            classes,
            image_size=wanted.image_size,
            channels=wanted.channels,
            strides=wanted_strides(recipe),
            dropout=dropout,
        )
    backbone = give_head(replace(drawn, is_pretrained=wanted.weights != "none"), recipe, classes)
    plan, phases = plan_recipe(backbone, recipe)
    lock_model(backbone.model, plan)
    example = torch.empty(2, *backbone.preprocessing.shape, device="meta")
    if recipe.cache.mode == "whole":
        return Sketch(backbone, plan, phases, keep_whole(backbone.model, example, "the recipe says cache.mode whole"))
    return Sketch(backbone, plan, phases, cut_model(backbone.model, plan, example))


def describe_plan(made: Preview | Sketch, recipe: Recipe) -> dict[str, Any]:
    """The plan as JSON: per stage its modules, parameters, buffers, multiply-adds an image and what is frozen; the cut.

    `modules` are the outermost ones that hold parameters or buffers, in order, `blocks` the types in them, `output`
    is the shape of what leaves the stage; `trained` names the stages in which anything learns; `phases` hold the
    peak learning rate of each stage. `head` is 'auto' where a run chooses it: the table is then that of the
    multi-stage head.
    """
    backbone, plan, cut = made.backbone, made.plan, made.cut
    settings = with_head_factor(recipe.train, is_solved=wants_solved_head(backbone, recipe))
    return {
        "model": backbone.name,
        "policy": plan.policy,
        "head": "auto" if recipe.head.kind == "auto" and backbone.head == "multi-stage" else backbone.head,
        "input": list(backbone.preprocessing.shape),
        "output_stride": backbone.strides.output_stride,
        "stem": backbone.strides.stem,
        "stages": _describe_stages(backbone, plan),
        "cut": _describe_cut(backbone.stages, cut),
        "uncut_reason": cut.reason or None,
        "parameters": plan.frozen_count + plan.trainable_count,
        "trainable_parameters": plan.trainable_count,
        "frozen_parameters": plan.frozen_count,
        "trained": [row.name for row in plan.stages if row.frozen_parameters < row.parameters],
        "phases": [_describe_phase(planned, settings) for planned in made.phases],
    }


def _describe_stages(backbone: Backbone, plan: FreezePlan) -> list[dict[str, Any]]:
    macs, modules = count_macs(backbone), modules_by_stage(backbone.model, backbone.stages)
    shapes = output_shapes(backbone)
    return [
        {
            "name": row.name,
            "modules": modules[row.name],
            "blocks": list_blocks(backbone.model, modules[row.name]),
            "output": shapes[row.name],
            "parameters": row.parameters,
            "buffers": row.buffers,
            "macs": macs[row.name],
            "frozen": row.is_frozen,
            "frozen_parameters": row.frozen_parameters,
            "frozen_share": row.frozen_parameters / row.parameters if row.parameters else None,
        }
        for row in plan.stages
    ]


def _describe_phase(planned: PlannedPhase, settings: TrainSettings) -> dict[str, Any]:
    phase = planned.phase
    return {
        "phase": phase.number,
        "policy": planned.plan.policy,
        "first_epoch": phase.first_epoch,
        "last_epoch": phase.last_epoch,
        "learning_rates": {
            row.name: phase.learning_rate * stage_factor(row.name, settings)
            for row in planned.plan.stages
            if row.frozen_parameters < row.parameters
        },
    }


def modules_by_stage(model: nn.Module, stages: StageMap) -> dict[str, list[str]]:
    """The outermost modules of each stage, in order: those that lie in it whole and hold parameters or buffers."""
    owners = stages.parameters | stages.buffers
    held: dict[str, set[str]] = {}
    for tensor, stage in owners.items():
        path = tensor.split(".")[:-1]
        for depth in range(len(path)):
            held.setdefault(".".join(path[: depth + 1]), set()).add(stage)
    found: dict[str, list[str]] = {stage: [] for stage in STAGES}
    for name, _ in model.named_modules():
        inside = held.get(name, set())
        if len(inside) == 1 and len(held.get(name.rpartition(".")[0], set())) != 1:
            found[next(iter(inside))].append(name)
    return found


def _describe_cut(stages: StageMap, cut: Cut) -> list[dict[str, Any]]:
    """One row for each tensor that crosses, per view; `bytes` in fp16, as training views are stored."""
    if cut.trunk is None:
        return []
    nodes, rows = _crossing_nodes(cut.trunk), []
    for name, node, shape in zip(cut.names, nodes, cut.shapes, strict=True):
        module, is_output = _made_by(node, nodes, cut)
        rows.append(
            {
                "name": name,
                "module": module,
                "is_output": is_output,
                "stage": stages.modules.get(module),
                "shape": list(shape),
                "bytes": 2 * math.prod(shape),
            }
        )
    return rows


def _crossing_nodes(trunk: nn.Module) -> list[fx.Node]:
    """The network's own values that the trunk returns; the trunk may have unflattened them, a row of rows an image."""
    graph = trunk.graph
    assert isinstance(graph, fx.Graph)
    ends = [node for end in graph.nodes if end.op == "output" for node in end.all_input_nodes]
    return [end.all_input_nodes[0] if end.target == "unflatten" and not _modules_around(end) else end for end in ends]


def _made_by(node: fx.Node, crossing: list[fx.Node], cut: Cut) -> tuple[str, bool]:
    """The outermost module whose output `node` is, and True; else the innermost in which it is made, and False."""
    tail, nodes = cut.eval_tail.graph, list(node.graph.nodes)
    assert isinstance(tail, fx.Graph)
    others = [*nodes[nodes.index(node) + 1 :], *tail.nodes, *(other for other in crossing if other is not node)]
    busy = {module for other in others for module in _modules_around(other)}
    around = _modules_around(node)
    for module in around:
        if module not in busy:
            return module, True
    return around[-1] if around else "", node.op == "call_module"


def _modules_around(node: fx.Node) -> list[str]:
    """Dotted names of the modules in whose forward pass `node` was traced, outermost first."""
    return [name.partition("@")[0] for name in node.meta.get("nn_module_stack", {})]  # name@1: called once more
