"""Give a backbone a head that looks at every stage, after Head2Toe (Evci et al. 2022)."""

import copy
from collections.abc import Collection
from dataclasses import replace
from operator import attrgetter
from typing import Any

import torch
from torch import fx, nn

from finetune.backbones import STAGES, Backbone, StageMap
from finetune.errors import FreezeError
from finetune.freezing.randomness import call_draws
from finetune.freezing.tracing import TracedNetwork, trace_model
from finetune.heads.modules import MultiStageHead, StatisticsPool
from finetune.heads.stage_values import StageValue, StageValues, find_stage_values

HEAD, POOLS, CONSTANTS = "multi_stage_head", "multi_stage_pool", "multi_stage_constants"
_BODY = STAGES[1:5]


def add_multi_stage_head(backbone: Backbone, classes: int, *, dropout: float = 0.0, seed: int = 0) -> Backbone:
    """The body of `backbone` behind a new head on pooled values of all its stages, drawn from `seed`.

    The head is given the mean and standard deviation over the positions of each stage's last value
    and, last, what the plain classifier is given. The body's modules keep their names and are
    shared with the plain network, which the result holds as `plain`.

    Raises FreezeError, with the reason, where the network cannot be traced, has no such values, or
    does something in training that a graph cannot.
    """
    model = backbone.model
    held = next(model.parameters())
    example = torch.randn((2, *backbone.preprocessing.shape), generator=torch.Generator().manual_seed(0)).to(held)
    try:
        train, evaluation = trace_model(model.train()), trace_model(model.eval())
        values = find_stage_values(train, backbone.stages, example)
        for traced in (train, evaluation):
            _put_head(traced, values)
            _name_constants(traced, model)
        _check_alike(train, evaluation)
    except FreezeError as error:
        raise FreezeError(f"{backbone.name} cannot have a multi-stage head: {error}. Use head.kind linear.") from error
    finally:
        model.train()
    parts = _new_parts(values, classes, dropout, seed).to(held.device, torch.promote_types(held.dtype, torch.float32))
    network = _assemble(model, evaluation, parts)
    return replace(backbone, model=network, stages=_stages_of(network, backbone.stages), plain=model)


def multi_stage_head(backbone: Backbone) -> MultiStageHead:
    """The head that `add_multi_stage_head` gave."""
    head = backbone.model.get_submodule(HEAD)
    assert isinstance(head, MultiStageHead)
    return head


def _put_head(traced: fx.GraphModule, values: StageValues) -> None:
    """Put the pools and the head behind the values; what only the old classifier needed falls away."""
    graph, named = traced.graph, {node.name: node for node in traced.graph.nodes}
    output = next(node for node in graph.nodes if node.op == "output")
    missing = [value.name for value in (*values.ends, *values.given) if value.name not in named]
    if missing:
        raise FreezeError(f"its graph has no value {missing[0]} in evaluation, as it has in training")
    with graph.inserting_before(output):
        vectors = [
            _call(graph, f"{POOLS}.{stage}", named[value.name]) for stage, value in zip(_BODY, values.ends, strict=True)
        ]
        vectors += [_as_vector(graph, named[value.name], value) for value in values.given]
        output.args = (_call(graph, HEAD, *vectors),)
    for node in reversed(graph.nodes):
        if not node.users and node.op not in ("output", "placeholder"):
            graph.erase_node(node)


def _call(graph: fx.Graph, target: str, *given: fx.Node) -> fx.Node:
    node = graph.create_node("call_module", target, given)
    node.meta["nn_module_stack"] = {target: (target, nn.Module)}  # as a tracer notes where a value was made
    return node


def _as_vector(graph: fx.Graph, node: fx.Node, value: StageValue) -> fx.Node:
    return graph.call_method("mean", (node, value.axes)) if value.axes else node


def _name_constants(traced: fx.GraphModule, model: nn.Module) -> None:
    """Read buffers under their own names; the tracer takes them for constants without one."""
    names = {id(tensor): name for name, tensor in model.named_buffers()}
    for node in traced.graph.nodes:
        if node.op == "get_attr":
            node.target = names.get(id(_held(traced, node)), node.target)


def _held(traced: fx.GraphModule, node: fx.Node) -> Any:
    return attrgetter(str(node.target))(traced)


def _check_alike(train: fx.GraphModule, evaluation: fx.GraphModule) -> None:
    """One graph must serve both modes: no step of either differs, and none draws at random but in a module.

    A dropout of nothing is told its mode and does not mind it.
    """
    if len(train.graph.nodes) != len(evaluation.graph.nodes):
        raise FreezeError("it takes other steps in training than in evaluation")
    places: dict[fx.Node, int] = {}
    for place, (one, other) in enumerate(zip(train.graph.nodes, evaluation.graph.nodes, strict=True)):
        places[one] = places[other] = place
        if one.op in ("call_function", "call_method") and call_draws(one):
            raise FreezeError(f"{one.name} draws at random outside of any module")
        told = [repr(fx.node.map_arg((node.args, node.kwargs), places.__getitem__)) for node in (one, other)]
        if not _is_same_step(train, one, evaluation, other) or (told[0] != told[1] and not _is_dropout_of_nothing(one)):
            raise FreezeError(f"{one.name} is another step in training than in evaluation")


def _is_same_step(train: fx.GraphModule, one: fx.Node, evaluation: fx.GraphModule, other: fx.Node) -> bool:
    if one.op == other.op == "get_attr":
        held, held_too = _held(train, one), _held(evaluation, other)
        return held is held_too or (held.is_meta and held.shape == held_too.shape) or torch.equal(held, held_too)
    return (one.op, one.target) == (other.op, other.target)


def _is_dropout_of_nothing(node: fx.Node) -> bool:
    return getattr(node.target, "__name__", "").startswith(("dropout", "drop_path")) and not call_draws(node)


def _new_parts(values: StageValues, classes: int, dropout: float, seed: int) -> nn.ModuleDict:
    """The pools and the head, by name."""
    pools = nn.ModuleDict(
        {
            stage: StatisticsPool(value.axes, has_mean=not (values.is_last_mean and stage == _BODY[-1]))
            for stage, value in zip(_BODY, values.ends, strict=True)
        }
    )
    given = [value.channels for value in values.given]
    ends = [
        value.channels
        for value, pool in zip(values.ends, pools.values(), strict=True)
        for _ in range(2 if pool.has_mean else 1)
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = MultiStageHead([*ends, *given], sum(given), classes, dropout)
    return nn.ModuleDict({POOLS: pools, HEAD: head})


def _assemble(model: nn.Module, traced: fx.GraphModule, parts: nn.ModuleDict) -> TracedNetwork:
    """The network of a graph, in which every module that it calls stands in its own container of `model`."""
    constants = _take_constants(traced, model)
    used = {str(node.target) for node in traced.graph.nodes if node.op in ("call_module", "get_attr")}
    root = copy.copy(_without_unused(model, "", used))
    vars(root)["_modules"] = root._modules | parts._modules | ({CONSTANTS: constants} if constants._buffers else {})
    network = TracedNetwork(root, traced.graph)
    for kept in ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set"):
        setattr(network, kept, getattr(root, kept))  # fx makes containers of its own, which have no type
    return network


def _take_constants(traced: fx.GraphModule, model: nn.Module) -> nn.Module:
    """A module of the tensors that were made while tracing, such as masks; the graph reads them there."""
    own = {*(name for name, _ in model.named_buffers()), *(name for name, _ in model.named_parameters())}
    constants = nn.Module()
    for node in traced.graph.nodes:
        if node.op == "get_attr" and node.target not in own:
            name = str(len(constants._buffers))
            constants.register_buffer(name, _held(traced, node), persistent=False)
            node.target = f"{CONSTANTS}.{name}"
    return constants


def _without_unused(module: nn.Module, name: str, used: Collection[str]) -> nn.Module:
    """`module` without what no name in `used` is, lies in, or lies inside; a copy where anything falls away."""
    if name in used:
        return module

    def full(own: str) -> str:
        return f"{name}.{own}" if name else own

    children = {
        own: _without_unused(child, full(own), used)
        for own, child in module._modules.items()
        if child is not None and any(f"{other}.".startswith(f"{full(own)}.") for other in used)
    }
    tensors = {
        kind: {own: tensor for own, tensor in getattr(module, kind).items() if full(own) in used}
        for kind in ("_parameters", "_buffers")
    }
    kept = copy.copy(module)
    vars(kept).update(_modules=children, **tensors)
    return kept


def _stages_of(network: nn.Module, stages: StageMap) -> StageMap:
    """A pool belongs to its stage, constants to the stem, what else is new to the head."""
    new = {CONSTANTS: "stem", **{f"{POOLS}.{stage}": stage for stage in _BODY}}
    return replace(
        stages,
        modules={name: stages.modules.get(name, new.get(name, "head")) for name, _ in network.named_modules() if name},
        parameters={
            name: stages.parameters.get(name, "head") for name, _ in network.named_parameters(remove_duplicate=False)
        },
        buffers={name: stages.buffers.get(name, "stem") for name, _ in network.named_buffers(remove_duplicate=False)},
    )
