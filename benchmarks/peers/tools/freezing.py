"""Which parameters a policy freezes, for tools that know no policies."""

from collections.abc import Sequence

import torch
from torch import nn

FIRST_THREE = {
    "tf_efficientnet_lite0": (
        *("conv_stem.", "bn1."),
        *(f"blocks.{number}." for number in range(5)),
    ),
    "resnet18": ("conv1.", "bn1.", "layer1.", "layer2.", "layer3."),
}
"""Stem and stages 1 to 3, by the first letters of timm's parameter names."""
CLASSIFIERS = ("classifier.", "fc.")


def is_frozen(name: str, model_name: str, policy: str) -> bool:
    """Whether `policy` freezes the parameter `name` (timm's name) of one of the two backbones that are compared."""
    if policy == "full":
        return False
    if policy == "head-only":
        return not name.startswith(CLASSIFIERS)
    return name.startswith(FIRST_THREE[model_name])


def freeze(model: nn.Module, model_name: str, policy: str) -> Sequence[torch.nn.Parameter]:
    """Set `requires_grad` as everybody does, and return what learns."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not is_frozen(name, model_name, policy)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
