"""The optimizer over exactly the parameters that learn."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def make_optimizer(
    model: nn.Module, weight_decay: float, head: Sequence[str] = (), head_factor: float = 1.0
) -> torch.optim.AdamW:
    """AdamW over the trainable parameters of `model`; no decay on biases, norms and other vectors.

    Parameters below a module named in `head` start from random values: each group holds the
    factor on the learning rate as `factor`, one for the rest.
    Source: Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_head = any(name.startswith(f"{module}.") for module in head)
            key = (weight_decay if parameter.ndim > 1 else 0.0, head_factor if is_head else 1.0)
            groups.setdefault(key, []).append(parameter)
    rows = [{"params": held, "weight_decay": decay, "factor": factor} for (decay, factor), held in groups.items()]
    return torch.optim.AdamW(rows, fused=True)


def class_weights(targets: Tensor, classes: int) -> Tensor:
    """Weights (classes,) inverse to the class counts, with mean one over the images; absent classes get zero."""
    counts = torch.bincount(targets, minlength=classes).to(torch.float32)
    present = counts > 0
    weights = torch.zeros(classes)
    weights[present] = len(targets) / (present.sum() * counts[present])
    return weights
