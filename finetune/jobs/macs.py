"""Multiply-adds of a network, stage by stage."""

from typing import Any

import torch
from torch import Tensor, fx
from torch.utils.flop_counter import FlopCounterMode

from finetune.backbones import STAGES, Backbone, StageMap
from finetune.freezing.tracing import TracedNetwork
from finetune.heads.stage_values import stage_of_node


def count_macs(backbone: Backbone) -> dict[str, int]:
    """Multiply-adds of one image by stage: convolutions, matrix products and attention."""
    model = backbone.model
    held = next(model.parameters())
    image = torch.zeros(1, *backbone.preprocessing.shape, device=held.device, dtype=held.dtype)
    if isinstance(model, TracedNetwork):
        return _NodeCounter(model.eval(), backbone.stages).count(image)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model.eval()(image)
    inclusive = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    macs = dict.fromkeys(STAGES, 0)
    for name, own in _exclusive(inclusive, type(model).__name__).items():
        macs[backbone.stages.modules.get(name, "stem")] += own // 2
    return macs


class _NodeCounter(fx.Interpreter):
    """Counts node by node: in a graph no module but the innermost is called."""

    def __init__(self, network: TracedNetwork, stages: StageMap) -> None:
        super().__init__(network)
        self._stages, self._macs = stages, dict.fromkeys(STAGES, 0)

    def count(self, image: Tensor) -> dict[str, int]:
        """Multiply-adds by stage."""
        with torch.no_grad():
            self.run(image)
        return self._macs

    def run_node(self, n: fx.Node) -> Any:
        """Run `n` and add what it costs to its stage."""
        with FlopCounterMode(display=False) as counter:
            result = super().run_node(n)
        self._macs[stage_of_node(n, self._stages) or "stem"] += counter.get_total_flops() // 2
        return result


def _exclusive(inclusive: dict[str, int], root: str) -> dict[str, int]:
    """Counts of each module without its children's; names relative to the root module."""
    own = {name.removeprefix(f"{root}."): count for name, count in inclusive.items() if name.startswith(f"{root}.")}
    result = dict(own)
    for name, count in own.items():
        parent = name.rpartition(".")[0]
        while parent and parent not in own:
            parent = parent.rpartition(".")[0]
        if parent:
            result[parent] -= count
    return result
