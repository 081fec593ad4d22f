"""The optimizer holds what learns, decays matrices only, and weighs classes."""

import torch
from torch import nn

from finetune.training.optimizer import class_weights, make_optimizer


def test_groups_hold_each_trainable_parameter_once_with_decay_on_matrices_only() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 2))
    model[0].weight.requires_grad_(False)
    groups = make_optimizer(model, 0.1, head=("2",), head_factor=10.0).param_groups
    held = [(id(parameter), group) for group in groups for parameter in group["params"]]
    assert sorted(key for key, _ in held) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    by_parameter = dict(held)
    assert by_parameter[id(model[2].weight)]["weight_decay"] == 0.1
    assert by_parameter[id(model[2].bias)]["weight_decay"] == 0.0
    assert by_parameter[id(model[2].weight)]["factor"] == 10.0
    assert by_parameter[id(model[1].weight)]["factor"] == 1.0


def test_class_weights_make_classes_equal_and_average_one_over_the_images() -> None:
    targets = torch.tensor([0, 0, 0, 1, 3, 3])
    weights = class_weights(targets, 4)
    assert weights[2] == 0
    assert torch.allclose(weights[targets].mean(), torch.tensor(1.0))
    shares = torch.stack([weights[target] * (targets == target).sum() for target in (0, 1, 3)])
    assert torch.allclose(shares, torch.tensor([2.0, 2.0, 2.0]))
