"""Where a traced graph divides, and the two graphs that come of it."""

import operator
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from finetune.errors import FreezeError
from finetune.freezing.planning import FreezePlan
from finetune.freezing.tracing import target_module

_RANDOM_NAMES = {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "normal_", "uniform_"} | {
    "bernoulli",
    "bernoulli_",
    "multinomial",
}


def crossing_nodes(traced: fx.GraphModule, plan: FreezePlan) -> list[fx.Node]:
    """Values of the trunk that the tail reads, in order of computation.

    A value belongs to the tail if it depends on a trainable parameter, on something random, or on
    the statistics of its batch. Values that do not depend on the image are no features.
    """
    in_tail: set[fx.Node] = set()
    from_image: set[fx.Node] = set()
    for node in traced.graph.nodes:
        if node.op == "placeholder" or from_image.intersection(node.all_input_nodes):
            from_image.add(node)
        if node.op == "output" or in_tail.intersection(node.all_input_nodes) or _learns_or_varies(traced, node, plan):
            in_tail.add(node)
    return [
        node
        for node in traced.graph.nodes
        if node in from_image and node not in in_tail and in_tail.intersection(node.users)
    ]


def _learns_or_varies(traced: fx.GraphModule, node: fx.Node, plan: FreezePlan) -> bool:
    if node.op == "get_attr":
        return str(node.target) in plan.trainable_parameters
    if node.op == "call_module":
        return _module_learns_or_varies(str(node.target), target_module(traced, node), plan)
    if node.op in ("call_function", "call_method"):
        return _is_random(node)
    return False


def _module_learns_or_varies(name: str, module: nn.Module, plan: FreezePlan) -> bool:
    if any(parameter.requires_grad for parameter in module.parameters()):
        return True
    for own, inner in module.named_modules(prefix=name):
        is_random = isinstance(inner, _DropoutNd) and inner.p > 0 or float(getattr(inner, "drop_prob", 0) or 0) > 0
        if own not in plan.eval_modules and (is_random or isinstance(inner, _BatchNorm)):
            return True
    return False


def _is_random(node: fx.Node) -> bool:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if name in _RANDOM_NAMES:
        return True
    if name.startswith("dropout") or name in ("drop_path", "feature_dropout", "alpha_dropout"):
        rate = node.kwargs.get("p", node.args[1] if len(node.args) > 1 else 0.5)
        training = node.kwargs.get("training", node.args[2] if len(node.args) > 2 else True)
        return bool(rate) and bool(training)
    return name == "scaled_dot_product_attention" and bool(node.kwargs.get("dropout_p", 0.0))


def split_graph(
    traced: fx.GraphModule, crossing: Iterable[fx.Node], example: Tensor
) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Two graph modules over the modules of `traced`: image -> features, features -> logits.

    Numbers that cross (sizes) are no features: those that do not change with the batch become
    constants, those that grow with it are read off the first feature.
    """
    values = _crossing_values(traced, list(crossing), example)
    tensors = {node: value for node, (value, _) in values.items() if isinstance(value, Tensor)}
    if not tensors:
        raise FreezeError("nothing but numbers would cross the cut")
    for node, value in tensors.items():
        if value.shape[:1] != example.shape[:1]:
            raise FreezeError(f"the value {node.name} that would cross the cut has no batch dimension in front")
    return _trunk_graph(traced, list(tensors)), _tail_graph(traced, list(tensors), values)


def _trunk_graph(traced: fx.GraphModule, tensors: list[fx.Node]) -> fx.GraphModule:
    graph, copies = fx.Graph(), dict[fx.Node, Any]()
    for node in traced.graph.nodes:
        if node.op == "output":
            break
        copies[node] = graph.node_copy(node, lambda old: copies[old])
    graph.output(tuple(copies[node] for node in tensors))
    _drop_dead(graph)
    return fx.GraphModule(traced, graph, "Trunk")


def _tail_graph(
    traced: fx.GraphModule, tensors: list[fx.Node], values: dict[fx.Node, tuple[object, object]]
) -> fx.GraphModule:
    graph, copies = fx.Graph(), dict[fx.Node, Any]()
    for index, node in enumerate(tensors):
        copies[node] = graph.placeholder(f"feature_{index}")
    first = copies[tensors[0]]
    constants = {
        node: _rebuild(graph, first, node.name, small, large)
        for node, (small, large) in values.items()
        if node not in copies
    }

    def copied(old: fx.Node) -> Any:
        return constants[old] if old in constants else copies[old]

    for node in traced.graph.nodes:
        if node in copies or node in constants or node.op == "placeholder":
            continue
        if all(source in copies or source in constants for source in node.all_input_nodes):
            copies[node] = graph.node_copy(node, copied)
    _drop_dead(graph)
    return fx.GraphModule(traced, graph, "Tail")


def _rebuild(graph: fx.Graph, first: fx.Node, name: str, small: object, large: object) -> Any:
    """A number or tuple of numbers, seen for batches of two and three, as the tail can know it."""
    if isinstance(small, tuple) and isinstance(large, tuple):
        return tuple(_rebuild(graph, first, name, one, other) for one, other in zip(small, large, strict=True))
    if small == large:
        return small
    if not isinstance(small, int) or not isinstance(large, int) or large * 2 != small * 3:
        raise FreezeError(f"the value {name} that would cross the cut depends on the batch in an unknown way")
    size = graph.call_method("size", (first, 0))
    return graph.call_function(operator.mul, (size, small // 2))


def _drop_dead(graph: fx.Graph) -> None:
    """fx keeps unused calls of modules that it thinks impure; none of ours may be left behind."""
    for node in reversed(graph.nodes):
        if not node.users and node.op not in ("output", "placeholder"):
            graph.erase_node(node)
    graph.lint()


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps the values of chosen nodes."""

    def __init__(self, traced: fx.GraphModule, wanted: list[fx.Node]) -> None:
        super().__init__(traced, garbage_collect_values=True)
        self.wanted, self.seen = set(wanted), dict[fx.Node, object]()

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        if n in self.wanted:
            self.seen[n] = value.clone() if isinstance(value, Tensor) else value
        return value


def _crossing_values(
    traced: fx.GraphModule, crossing: list[fx.Node], example: Tensor
) -> dict[fx.Node, tuple[object, object]]:
    """The value of each crossing node for a batch of two and a batch of three."""
    small, large = _Recorder(traced, crossing), _Recorder(traced, crossing)
    buffers = {name: buffer.clone() for name, buffer in traced.named_buffers()}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        small.run(example[:2])
        large.run(torch.cat([example[:2], example[:1]]))
    for name, buffer in traced.named_buffers():
        buffer.data.copy_(buffers[name])
    return {node: (small.seen[node], large.seen[node]) for node in crossing}
