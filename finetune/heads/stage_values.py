"""The values of a network at the ends of its stages, and those that its classifier is given."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn.modules.dropout import _DropoutNd

from finetune.backbones import STAGES, StageMap
from finetune.errors import FreezeError
from finetune.freezing.randomness import call_draws
from finetune.freezing.tracing import target_module

Shape = tuple[int, ...]
_BODY = STAGES[1:5]


@dataclass(frozen=True)
class StageValue:
    """A value by the name of its node, the axes of its positions (a vector has none), and its channels."""

    name: str
    axes: tuple[int, ...]
    channels: int


@dataclass(frozen=True)
class StageValues:
    """The map or token sequence at the end of each stage, and what the classifier is given.

    `is_last_mean` is whether the classifier is given, first of all, the mean of the last stage's value.
    """

    ends: tuple[StageValue, ...]
    given: tuple[StageValue, ...]
    is_last_mean: bool


def stage_of_node(node: fx.Node, stages: StageMap) -> str | None:
    """The stage in whose module `node` was traced; None outside of every module."""
    if node.op == "get_attr":
        return stages.parameters.get(str(node.target), stages.buffers.get(str(node.target)))
    around = list(node.meta.get("nn_module_stack", {}))
    module = str(node.target) if node.op == "call_module" else around[-1].partition("@")[0] if around else ""
    return stages.modules.get(module)


def find_stage_values(traced: fx.GraphModule, stages: StageMap, example: Tensor) -> StageValues:
    """What to pool of a network traced in training mode; `example`: (2, channels, height, width).

    A stage ends with the last value in it that has channels and positions and is read outside of
    it; pooling over all positions counts as outside. Dropout before the classifier is passed over:
    the new head has its own.

    Raises FreezeError, with the reason, where a stage or the classifier holds no such value.
    """
    given = _classifier_inputs(traced, stages)
    shapes = _shapes_of(traced, example)
    wrong = [node.name for node in given if not _is_batched(shapes.get(node), range(2, 5))]
    if wrong or not given:
        raise FreezeError(f"its classifier is not given vectors or maps of an image ({', '.join(wrong) or 'nothing'})")
    live, pooled = _ancestors(given), _pooled(traced, shapes)
    owner = {node: None if node in pooled else stage_of_node(node, stages) for node in traced.graph.nodes}
    ends = []
    for stage in _BODY:
        maps = [node for node in live if owner[node] == stage and _is_batched(shapes.get(node), (3, 4))]
        if not maps:
            raise FreezeError(f"its {stage} holds no map and no tokens to pool")
        leaving = [node for node in maps if any(owner[user] != stage for user in node.users)]
        ends.append((leaving or maps)[-1])
    values, plain = (
        tuple(_describe(node.name, shapes[node], example.shape[2:]) for node in nodes) for nodes in (ends, given)
    )
    last, shape = ends[-1], shapes[ends[-1]]
    is_last_mean = _has_same_mean(traced, (last, given[0]), (values[-1], plain[0]), shape)
    return StageValues(values, plain, is_last_mean)


def _classifier_inputs(traced: fx.GraphModule, stages: StageMap) -> list[fx.Node]:
    """Values from outside of the head that the head reads, without the dropout between."""
    read: dict[fx.Node, None] = {}
    for node in traced.graph.nodes:
        if stage_of_node(node, stages) == "head":
            outside = (source for source in node.all_input_nodes if stage_of_node(source, stages) != "head")
            read.update(dict.fromkeys(_before_dropout(traced, source) for source in outside))
    return list(read)


def _before_dropout(traced: fx.GraphModule, node: fx.Node) -> fx.Node:
    while _drops(traced, node):
        node = node.all_input_nodes[0]
    return node


def _drops(traced: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        module = target_module(traced, node)
        return isinstance(module, _DropoutNd) and module.p > 0
    return node.op == "call_function" and len(node.all_input_nodes) == 1 and call_draws(node)


class _ShapeRecorder(fx.Interpreter):
    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.shapes: dict[fx.Node, Shape] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run `n`, and note the shape of what it gives."""
        result = super().run_node(n)
        if isinstance(result, Tensor) and result.is_floating_point():
            self.shapes[n] = tuple(result.shape)
        return result


def _shapes_of(traced: fx.GraphModule, example: Tensor) -> dict[fx.Node, Shape]:
    recorder, modes = _ShapeRecorder(traced), [(module, module.training) for module in traced.modules()]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for module, _ in modes:
                module.training = False
            recorder.run(example)
    finally:
        for module, mode in modes:
            module.training = mode
    return recorder.shapes


def _is_batched(shape: Shape | None, ranks: Iterable[int]) -> bool:
    return shape is not None and len(shape) in ranks and shape[0] == 2


def _ancestors(nodes: Iterable[fx.Node]) -> list[fx.Node]:
    """`nodes` and all that they are computed from, in order."""
    found, waiting = set[fx.Node](), list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    graph = next(iter(found)).graph
    return [node for node in graph.nodes if node in found]


def _pooled(traced: fx.GraphModule, shapes: dict[fx.Node, Shape]) -> set[fx.Node]:
    """Values of one position that were pooled without weights over more, and what is made of those alone."""
    pooled: set[fx.Node] = set()
    for node in traced.graph.nodes:
        sources = [source for source in node.all_input_nodes if source in shapes and source.op != "get_attr"]
        if node not in shapes or _has_positions(shapes[node]) or not sources:
            continue
        is_pooling = _is_weightless(traced, node) and any(_has_positions(shapes[source]) for source in sources)
        if is_pooling or pooled.issuperset(sources):
            pooled.add(node)
    return pooled


def _has_positions(shape: Shape) -> bool:
    """Whether a map or a sequence has more than one position."""
    return len(shape) > 2 and shape[1:].count(1) < len(shape) - 2


def _is_weightless(traced: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return not any(True for _ in target_module(traced, node).parameters())
    return node.op in ("call_function", "call_method") and len(node.all_input_nodes) == 1


def _describe(name: str, shape: Shape, image: Shape) -> StageValue:
    axes = position_axes(shape, image)
    channels = next(size for axis, size in enumerate(shape) if axis and axis not in axes)
    return StageValue(name, axes, channels)


def position_axes(shape: Shape, image: Shape) -> tuple[int, ...]:
    """The axes of the positions in a value of this shape, made of an image (height, width); a vector has none.

    Tokens are (batch, positions, channels); of a map two axes have the image's proportion, if not, the last two.
    """
    height, width = image
    if len(shape) != 4:
        return (1,) if len(shape) == 3 else ()
    first, second = (shape[axis] * width == shape[axis + 1] * height for axis in (1, 2))
    return (1, 2) if first and not second else (2, 3)


def _has_same_mean(traced: fx.GraphModule, ends: Sequence[fx.Node], values: Sequence[StageValue], shape: Shape) -> bool:
    """Whether two nodes, the first of which has `shape`, have one mean: it is tried on noise.

    Only where nothing with weights lies between them.
    """
    first, second = ends
    between: list[fx.Node] = []
    while second is not first:
        if not _is_weightless(traced, second) or len(second.all_input_nodes) != 1:
            return False
        between.append(second)
        second = second.all_input_nodes[0]
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made: Any = noise
    for node in reversed(between):
        made = _run_alone(traced, node, made)
    one, other = noise.mean(values[0].axes), made.mean(values[1].axes) if values[1].axes else made
    return one.shape == other.shape and torch.allclose(one, other)


def _run_alone(traced: fx.GraphModule, node: fx.Node, given: Any) -> Any:
    arguments = fx.node.map_arg(node.args, lambda _: given)
    options = fx.node.map_arg(node.kwargs, lambda _: given)
    if node.op == "call_module":
        return target_module(traced, node)(*arguments, **options)
    if node.op == "call_method":
        return getattr(arguments[0], str(node.target))(*arguments[1:], **options)
    assert callable(node.target)
    return node.target(*arguments, **options)
