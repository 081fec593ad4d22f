"""Where a traced graph divides, and the two graphs that come of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import fx, nn

from finetune.errors import FreezeError
from finetune.freezing.crossing import Feature, Fixed, Seen, rebuild_numbers
from finetune.freezing.planning import FreezePlan
from finetune.freezing.randomness import call_draws, call_mixes, module_varies
from finetune.freezing.tracing import target_module


def crossing_nodes(traced: fx.GraphModule, plan: FreezePlan) -> list[fx.Node]:
    """Values of the trunk that the tail reads, in order of computation.

    A value belongs to the tail if it depends on a trainable parameter, on something random, or on
    the statistics of its batch. Values that do not depend on the image are no features, nor are
    those that the tail can make itself of the others, without any weights: a pooled shortcut.
    """
    in_tail: set[fx.Node] = set()
    from_image: set[fx.Node] = set()
    for node in traced.graph.nodes:
        if node.op == "placeholder" or from_image.intersection(node.all_input_nodes):
            from_image.add(node)
        learns = _learns_or_draws(traced, node, plan) or (node in from_image and call_mixes(node))
        if node.op == "output" or learns or in_tail.intersection(node.all_input_nodes):
            in_tail.add(node)
    read = [
        node
        for node in traced.graph.nodes
        if node in from_image and node not in in_tail and in_tail.intersection(node.users)
    ]
    return [node for node in read if not _is_made_of(traced, node, from_image, set(read))]


def _is_made_of(traced: fx.GraphModule, node: fx.Node, from_image: set[fx.Node], read: set[fx.Node]) -> bool:
    """Whether `node` is computed from nothing but other values that are read, by an operation without weights."""
    sources = from_image.intersection(node.all_input_nodes)
    if not sources or not sources <= read:
        return False
    return node.op != "call_module" or not any(True for _ in target_module(traced, node).parameters())


def _learns_or_draws(traced: fx.GraphModule, node: fx.Node, plan: FreezePlan) -> bool:
    if node.op == "get_attr":
        return str(node.target) in plan.trainable_parameters
    if node.op == "call_module":
        return _module_learns_or_varies(str(node.target), target_module(traced, node), plan)
    return node.op in ("call_function", "call_method") and call_draws(node)


def _module_learns_or_varies(name: str, module: nn.Module, plan: FreezePlan) -> bool:
    if any(parameter.requires_grad for parameter in module.parameters()):
        return True
    parts = module.named_modules(prefix=name)
    return any(module_varies(part) for own, part in parts if own not in plan.eval_modules)


def trunk_graph(
    traced: fx.GraphModule, seen: Mapping[fx.Node, Seen] | Iterable[fx.Node], name: str = "Trunk"
) -> fx.GraphModule:
    """Image -> what crosses: the plain values of nodes, or, where it is known what they are, the features alone."""
    graph, copies = fx.Graph(), dict[fx.Node, Any]()
    for node in traced.graph.nodes:
        if node.op == "output":
            break
        copies[node] = graph.node_copy(node, lambda old: copies[old])
    if isinstance(seen, Mapping):
        outputs = [
            _one_row_an_image(graph, copies[node], value) for node, value in seen.items() if isinstance(value, Feature)
        ]
    else:
        outputs = [copies[node] for node in seen]
    graph.output(tuple(outputs))
    _drop_dead(graph)
    return fx.GraphModule(traced, graph, name)


def _one_row_an_image(graph: fx.Graph, copy: fx.Node, feature: Feature) -> fx.Node:
    return copy if feature.rows == 1 else graph.call_method("unflatten", (copy, 0, (-1, feature.rows)))


def tail_graph(traced: fx.GraphModule, seen: Mapping[fx.Node, Seen]) -> fx.GraphModule:
    """Features -> logits. Numbers and tensors that are the same for every image are part of the graph.

    Raises FreezeError where the tail would need more than what crosses.
    """
    graph, copies = fx.Graph(), dict[fx.Node, Any]()
    features = {node: graph.placeholder(f"feature_{index}") for index, node in enumerate(_features(seen))}
    if not features:
        raise FreezeError("nothing but numbers would cross the cut")
    first = next(iter(features.values()))
    for number, (node, value) in enumerate(seen.items()):
        if isinstance(value, Feature):
            placeholder = features[node]
            copies[node] = placeholder if value.rows == 1 else graph.call_method("flatten", (placeholder, 0, 1))
        elif isinstance(value, Fixed):
            traced.register_buffer(f"fixed_{number}", value.tensor, persistent=False)
            copies[node] = graph.get_attr(f"fixed_{number}")
        else:
            copies[node] = rebuild_numbers(graph, first, node.name, value)
    for node in traced.graph.nodes:
        if node in copies or node.op == "placeholder":
            continue
        if all(source in copies for source in node.all_input_nodes):
            copies[node] = graph.node_copy(node, lambda old: copies[old])
    if not any(node.op == "output" for node in graph.nodes):
        raise FreezeError("its tail needs more in evaluation than what crosses the cut in training")
    _drop_dead(graph)
    return fx.GraphModule(traced, graph, "Tail")


def _features(seen: Mapping[fx.Node, Seen]) -> list[fx.Node]:
    return [node for node, value in seen.items() if isinstance(value, Feature)]


def _drop_dead(graph: fx.Graph) -> None:
    """fx keeps unused calls of modules that it thinks impure; none of ours may be left behind."""
    for node in reversed(graph.nodes):
        if not node.users and node.op not in ("output", "placeholder"):
            graph.erase_node(node)
    graph.lint()
