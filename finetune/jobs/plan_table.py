"""The freeze table of a model, as `finetune plan` shows it."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from finetune.backbones import STAGES, Backbone
from finetune.freezing import Cut, FreezePlan
from finetune.jobs.freezing_record import cut_record
from finetune.jobs.planning import plan_model
from recipes import load_recipe


def plan_without_weights(
    model: str, policy: str, classes: int, image_size: int | None = None
) -> tuple[Backbone, FreezePlan, Cut]:
    """Plan and cut the timm model `model` without loading any weights."""
    overrides: dict[str, object] = {"model.name": model, "model.weights": "none", "freeze.policy": policy}
    if image_size is not None:
        overrides["model.image_size"] = image_size
    return plan_model(load_recipe(None, overrides), classes, torch.device("cpu"))


def describe_plan(backbone: Backbone, plan: FreezePlan, cut: Cut) -> dict[str, object]:
    """The plan as JSON: per stage parameters, buffers, multiply-adds an image and whether it is frozen; the cut."""
    macs = count_macs(backbone)
    return {
        "model": backbone.name,
        "policy": plan.policy,
        "input": [3, backbone.preprocessing.height, backbone.preprocessing.width],
        "stages": [
            {
                "name": row.name,
                "parameters": row.parameters,
                "buffers": row.buffers,
                "macs": macs[row.name],
                "frozen": row.is_frozen,
                "frozen_parameters": row.frozen_parameters,
            }
            for row in plan.stages
        ],
        "cut": cut_record(cut),
        "uncut_reason": cut.reason or None,
        "parameters": plan.frozen_count + plan.trainable_count,
        "trainable_parameters": plan.trainable_count,
        "frozen_parameters": plan.frozen_count,
    }


def count_macs(backbone: Backbone) -> dict[str, int]:
    """Multiply-adds of one image by stage: convolutions, matrix products and attention."""
    model = backbone.model
    image = torch.zeros(1, 3, backbone.preprocessing.height, backbone.preprocessing.width)
    counter = FlopCounterMode(display=False)
    device = next(model.parameters()).device
    with torch.no_grad(), counter:
        model.eval()(image.to(device))
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
        parents = [parent for parent in own if parent != name and name.startswith(f"{parent}.")]
        if parents:
            result[max(parents, key=len)] -= count
    return result
