"""The cut of a network without values: on the meta device, before any weight is read."""

from torch import Tensor, nn

from finetune.errors import FreezeError
from finetune.freezing.cutting import Cut, keep_whole
from finetune.freezing.partition import crossing_nodes, split_graph
from finetune.freezing.planning import FreezePlan
from finetune.freezing.tracing import trace_model

Parts = tuple[nn.Module, nn.Module, tuple[str, ...]]


def sketch_cut(model: nn.Module, plan: FreezePlan, example: Tensor) -> Cut:
    """The cut that `cut_model` makes of the same locked network with values, found by shapes alone.

    `model` and `example`, (2, channels, height, width), lie on the meta device, where nothing is
    computed. So the values of the cut network are not compared with those of the whole one: a
    network that fails that check is cut here and trained uncut.
    """
    if not plan.frozen_parameters:
        return keep_whole(model, example, "the policy freezes nothing")
    try:
        training = _split(model, plan, example, training=True)
        evaluating = _split(model, plan, example, training=False)
        if training is None or evaluating is None:
            return keep_whole(model, example, "no value of the network is free of trainable parameters")
        (_, train_tail, _), (trunk, eval_tail, names) = training, evaluating
        features = trunk(example)
        for tail in (train_tail, eval_tail):
            if not isinstance(tail(*features), Tensor):
                raise FreezeError("its output is not one tensor of logits")
    except FreezeError as error:
        return keep_whole(model, example, str(error))
    finally:
        model.eval()
    return Cut(trunk, train_tail, eval_tail, tuple(tuple(feature.shape[1:]) for feature in features), names)


def _split(model: nn.Module, plan: FreezePlan, example: Tensor, *, training: bool) -> Parts | None:
    model.train(training)
    traced = trace_model(model)
    crossing = crossing_nodes(traced, plan)
    if not crossing or any(node.op == "placeholder" for node in crossing):
        return None
    trunk, tail = split_graph(traced, crossing, example)
    return trunk.train(training), tail.train(training), tuple(node.name for node in crossing)
