"""Multiply-adds of a network, stage by stage."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from finetune.backbones import STAGES, Backbone


def count_macs(backbone: Backbone) -> dict[str, int]:
    """Multiply-adds of one image by stage: convolutions, matrix products and attention."""
    model = backbone.model
    device = next(model.parameters()).device
    image = torch.zeros(1, 3, backbone.preprocessing.height, backbone.preprocessing.width, device=device)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model.eval()(image)
    inclusive = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    macs = dict.fromkeys(STAGES, 0)
    for name, own in _exclusive(inclusive, type(model).__name__).items():
        macs[backbone.stages.modules.get(name, "stem")] += own // 2
    return macs


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
