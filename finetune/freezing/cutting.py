"""Cut a locked model in two by dataflow: the trunk cannot change during training, the tail can."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from finetune.errors import FreezeError
from finetune.freezing.partition import crossing_nodes, split_graph
from finetune.freezing.planning import FreezePlan
from finetune.freezing.tracing import trace_model

_RELATIVE_TOLERANCE = 1e-5


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
    fixes `self.training`. The cut is checked on the example, in both modes and with the same
    random draws, against the whole model; one that is not exact is refused and the model is
    returned uncut, with the reason.
    """
    if not plan.frozen_parameters:
        return keep_whole(model, example, "the policy freezes nothing")
    try:
        train_trunk, train_tail, train_names = _split(model, plan, example, training=True)
        trunk, eval_tail, names = _split(model, plan, example, training=False)
        if trunk is None or train_trunk is None:
            return keep_whole(model, example, "no value of the network is free of trainable parameters")
        shapes = _check_exact(model, trunk, train_tail, eval_tail, example)
    except FreezeError as error:
        return keep_whole(model, example, str(error))
    finally:
        model.eval()
    return Cut(trunk, train_tail, eval_tail, shapes, names)


def keep_whole(model: nn.Module, example: Tensor, reason: str) -> Cut:
    """No trunk: the tail is the whole model and takes the image itself."""
    return Cut(None, model, model, (tuple(example.shape[1:]),), ("image",), reason)


def _split(
    model: nn.Module, plan: FreezePlan, example: Tensor, training: bool
) -> tuple[nn.Module | None, nn.Module, tuple[str, ...]]:
    model.train(training)
    traced = trace_model(model)
    crossing = crossing_nodes(traced, plan)
    if not crossing or any(node.op == "placeholder" for node in crossing):
        return None, model, ()
    trunk, tail = split_graph(traced, crossing, example)
    return trunk.train(training), tail.train(training), tuple(node.name for node in crossing)


def _check_exact(
    model: nn.Module, trunk: nn.Module, train_tail: nn.Module, eval_tail: nn.Module, example: Tensor
) -> tuple[tuple[int, ...], ...]:
    with torch.no_grad(), _restored_buffers(model), torch.random.fork_rng(devices=[]):
        features = trunk(example)
        for tail, training in ((eval_tail, False), (train_tail, True)):
            model.train(training)
            torch.manual_seed(0)
            whole = model(example)
            torch.manual_seed(0)
            parts = tail(*(feature.clone() for feature in features))
            _compare(whole, parts, training)
    return tuple(tuple(feature.shape[1:]) for feature in features)


def _compare(whole: Tensor, parts: Tensor, training: bool) -> None:
    if not isinstance(whole, Tensor) or not isinstance(parts, Tensor):
        raise FreezeError("its output is not one tensor of logits")
    difference = float((whole - parts).abs().max())
    if not difference <= _RELATIVE_TOLERANCE * max(float(whole.abs().max()), 1e-6):
        mode = "training" if training else "evaluation"
        raise FreezeError(f"the cut network differs from the whole one by {difference:.1e} in {mode} mode")


@contextmanager
def _restored_buffers(model: nn.Module) -> Iterator[None]:
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in model.named_buffers():
            buffer.copy_(before[name])
