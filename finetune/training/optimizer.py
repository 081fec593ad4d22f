"""The optimizer over exactly the parameters that learn."""

from collections.abc import Mapping
from typing import Any

import torch
from timm.models.mlp_mixer import Affine
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from finetune.backbones import STAGES
from recipes import TrainSettings

SOLVED_FACTOR, DRAWN_FACTOR = 1.0, 10.0
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, Affine)


def make_optimizer(
    model: nn.Module, stages: Mapping[str, str], settings: TrainSettings
) -> torch.optim.AdamW | torch.optim.SGD:
    """AdamW, or SGD with momentum, over the groups of `parameter_groups`.

    Sources: Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization; for SGD, whose decay is a penalty on
    the squared weights, Sutskever et al. 2013, On the importance of initialization and momentum in deep learning.
    """
    groups = parameter_groups(model, stages, settings)
    if settings.optimizer == "sgd":
        # Fused, it would not take a group of which some have learnt in an earlier phase and others have not.
        return torch.optim.SGD(groups, momentum=settings.momentum)
    return torch.optim.AdamW(groups, fused=True)


def parameter_groups(model: nn.Module, stages: Mapping[str, str], settings: TrainSettings) -> list[dict[str, Any]]:
    """The trainable parameters of `model`, each once, from stem to head; `stages` has the stage of every name.

    One group a stage, two where a part of it has no weight decay: `params`, `weight_decay`, the
    `factor` on the learning rate, and a `name` that is unique.
    """
    undecayed = set() if settings.decay_norm else norm_and_bias_names(model)
    held: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            held.setdefault((stages[name], name in undecayed), []).append(parameter)
    return [
        {
            "params": held[stage, is_undecayed],
            "weight_decay": 0.0 if is_undecayed else settings.weight_decay,
            "factor": stage_factor(stage, settings),
            "name": f"{stage}, undecayed" if is_undecayed else stage,
        }
        for stage in STAGES
        for is_undecayed in (False, True)
        if (stage, is_undecayed) in held
    ]


def stage_factor(stage: str, settings: TrainSettings) -> float:
    """The factor on the learning rate of a stage: `layer_decay` for each step below stage4, `head_factor` for the head.

    Source: Clark et al. 2020, ELECTRA, with stages for layers.
    """
    steps = max(0, STAGES.index("stage4") - STAGES.index(stage))
    own = (settings.head_factor or DRAWN_FACTOR) if stage == "head" else settings.layer_decay**steps
    return own * settings.stage_factors.get(stage, 1.0)


def with_head_factor(settings: TrainSettings, *, is_solved: bool) -> TrainSettings:
    """The settings with the factor of the head filled in: one that is solved already only follows the other layers."""
    factor = settings.head_factor or (SOLVED_FACTOR if is_solved else DRAWN_FACTOR)
    return settings.model_copy(update={"head_factor": factor})


def norm_and_bias_names(model: nn.Module) -> set[str]:
    """Parameters of norms, biases (also those of attention, by name), gains, and other vectors."""
    return {
        f"{module_name}.{name}" if module_name else name
        for module_name, module in model.named_modules()
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.ndim <= 1 or isinstance(module, _NORMS) or "bias" in name or name == "gain"
    }


def class_weights(targets: Tensor, classes: int) -> Tensor:
    """Weights (classes,), float64, inverse to the class counts, with mean one over images; absent classes get zero."""
    counts = torch.bincount(targets, minlength=classes).to(torch.float64)
    present = counts > 0
    weights = torch.zeros_like(counts)
    weights[present] = len(targets) / (present.sum() * counts[present])
    return weights
