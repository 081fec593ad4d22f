"""Cut a locked model in two by dataflow: the trunk cannot change during training, the tail can."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from finetune.errors import FreezeError
from finetune.freezing.crossing import Feature, Fixed, Seen, see_values
from finetune.freezing.partition import crossing_nodes, tail_graph, trunk_graph
from finetune.freezing.planning import FreezePlan
from finetune.freezing.tracing import trace_model, untouched_attributes

_STIR = 0.02
"""Spread of what is added to constant parameters during the check; timm draws most weights with this deviation."""


@dataclass(frozen=True)
class Cut:
    """A model in two parts that share its modules.

    `trunk(images)` returns a tuple of tensors, each with the batch as first dimension; the tail
    takes them in that order and returns logits (batch, classes). Without a trunk the cut stands
    before the image itself, and `reason` says why. `shapes` are per image, without the batch.
    """

    trunk: nn.Module | None
    train_tail: nn.Module
    eval_tail: nn.Module
    shapes: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    reason: str = ""


def cut_model(model: nn.Module, plan: FreezePlan, example: Tensor) -> Cut:
    """Cut `model`, already locked by `plan`, along the last values that nothing trainable shapes.

    `example`: (2, channels, height, width). The tail is traced once for each mode, since a trace
    fixes `self.training`. The cut is checked on images like the example, in both modes and with
    the same random draws, against the whole model: to a relative 1e-10 in float64, 1e-5 else. One
    that is not exact is refused and the model is returned uncut, with the reason. On the meta
    device there are no values to compare: the cut is the one that the shapes allow.
    """
    if not plan.frozen_parameters:
        return keep_whole(model, example, "the policy freezes nothing")
    try:
        with _stirred(model):
            cut, fixed = _cut(model, plan, example)
            _check_exact(model, cut, example.flip(-1))
        fixed.renew(example)
    except FreezeError as error:
        return keep_whole(model, example, str(error))
    finally:
        model.eval()
    return cut


def keep_whole(model: nn.Module, example: Tensor, reason: str) -> Cut:
    """No trunk: the tail is the whole model and takes the image itself."""
    return Cut(None, model, model, (tuple(example.shape[1:]),), ("image",), reason)


def bridge_cuts(early: Cut, late: Cut, example: Tensor) -> nn.Module | None:
    """What makes the features of `late` of those of `early`, a cut of the same model that is nearer to the image.

    Checked on images like `example`, as a cut is. None where the graph of the one does not hold the other's.
    """
    tail = early.eval_tail
    if early.trunk is None or late.trunk is None or not isinstance(tail, fx.GraphModule):
        return None
    named = {node.name: node for node in tail.graph.nodes}
    given = [node for node in tail.graph.nodes if node.op == "placeholder"]
    named |= dict(zip(early.names, given, strict=True))
    if not set(late.names) <= named.keys():
        return None
    bridge = trunk_graph(tail, [named[name] for name in late.names], "Bridge").eval()
    with torch.no_grad():
        direct, bridged = late.trunk(example), bridge(*early.trunk(example))
    return bridge if all(_is_equal(*pair) for pair in zip(direct, bridged, strict=True)) else None


@dataclass(frozen=True)
class _FixedValues:
    """The tensors that both tails hold because they are the same for every image."""

    probe: nn.Module
    seen: Sequence[Seen]

    def renew(self, example: Tensor) -> None:
        """Compute them anew, with the parameters as they are now."""
        if not any(isinstance(value, Fixed) for value in self.seen):
            return
        with torch.no_grad():
            for value, now in zip(self.seen, self.probe(example), strict=True):
                if isinstance(value, Fixed):
                    value.tensor.copy_(now)


def _cut(model: nn.Module, plan: FreezePlan, example: Tensor) -> tuple[Cut, _FixedValues]:
    """Find the cut in the graph of training, and make the same one in the graph of evaluation."""
    train, evaluation = trace_model(model.train()), trace_model(model.eval())
    crossing = crossing_nodes(train, plan)
    if not crossing or any(node.op == "placeholder" for node in crossing):
        raise FreezeError("no value of the network is free of trainable parameters")
    same = _nodes_of_same_name(evaluation, crossing)
    names = [node.name for node in crossing]
    probe = trunk_graph(evaluation, same)
    seen = see_values(probe, names, example)
    cut = Cut(
        trunk=trunk_graph(evaluation, dict(zip(same, seen, strict=True))),
        train_tail=tail_graph(train, dict(zip(crossing, seen, strict=True))),
        eval_tail=tail_graph(evaluation, dict(zip(same, seen, strict=True))),
        shapes=tuple(value.shape for value in seen if isinstance(value, Feature)),
        names=tuple(name for name, value in zip(names, seen, strict=True) if isinstance(value, Feature)),
    )
    return cut, _FixedValues(probe, seen)


def _nodes_of_same_name(traced: fx.GraphModule, nodes: Sequence[fx.Node]) -> list[fx.Node]:
    named = {node.name: node for node in traced.graph.nodes}
    for node in nodes:
        if node.name not in named or named[node.name].target != node.target:
            raise FreezeError(f"its graph has no value {node.name} to cut at in evaluation, as it has in training")
    return [named[node.name] for node in nodes]


def _check_exact(model: nn.Module, cut: Cut, images: Tensor) -> None:
    assert cut.trunk is not None
    with torch.no_grad(), _restored_buffers(model), torch.random.fork_rng(devices=[]):
        features = cut.trunk.eval()(images)
        for tail, training in ((cut.eval_tail, False), (cut.train_tail, True)):
            model.train(training)
            torch.manual_seed(0)
            whole = model(images)
            torch.manual_seed(0)
            parts = tail.train(training)(*(feature.clone() for feature in features))
            _compare(whole, parts, training)


def _compare(whole: Tensor, parts: Tensor, training: bool) -> None:
    mode = "training" if training else "evaluation"
    if not isinstance(whole, Tensor) or not isinstance(parts, Tensor):
        raise FreezeError(f"its output in {mode} mode is not one tensor of logits")
    if not _is_equal(whole, parts):
        difference = float((whole - parts).abs().max())
        raise FreezeError(f"the cut network differs from the whole one by {difference:.1e} in {mode} mode")


def _is_equal(one: Tensor, other: Tensor) -> bool:
    """But for rounding; on the meta device there are shapes alone."""
    if one.shape != other.shape or one.is_meta:
        return one.shape == other.shape
    tolerance = 1e-10 if one.dtype == torch.float64 else 1e-5
    return bool((one - other).abs().max() <= tolerance * one.abs().max())


@contextmanager
def _restored_buffers(model: nn.Module) -> Iterator[None]:
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in model.named_buffers():
            buffer.copy_(before[name])


@contextmanager
def _stirred(model: nn.Module) -> Iterator[None]:
    """Constant parameters moved a little: a head or a branch that is still zero would hide any fault behind it."""
    generator = torch.Generator().manual_seed(0)
    before = {name: parameter for name, parameter in model.named_parameters() if _is_constant(parameter)}
    kept = {name: parameter.detach().clone() for name, parameter in before.items()}
    try:
        with torch.no_grad():
            for parameter in before.values():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(noise.to(parameter), alpha=_STIR)
        with untouched_attributes(model):
            yield
    finally:
        with torch.no_grad():
            for name, parameter in before.items():
                parameter.copy_(kept[name])


def _is_constant(parameter: Tensor) -> bool:
    return not parameter.is_meta and parameter.numel() > 0 and bool(parameter.min() == parameter.max())
