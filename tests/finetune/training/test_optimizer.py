"""The optimizer holds what learns, decays matrices only, slows early stages, and weighs classes."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from finetune.backbones import STAGES, load_backbone
from finetune.training.optimizer import (
    class_weights,
    make_optimizer,
    norm_and_bias_names,
    parameter_groups,
    stage_factor,
)
from recipes import TrainSettings

NAMES = ("stem", "stage1", "stage2", "stage3", "stage4", "head")


def by_parameter(groups: list[dict[str, Any]]) -> Mapping[int, dict[str, Any]]:
    held = [(id(parameter), group) for group in groups for parameter in group["params"]]
    assert len(held) == len(dict(held)), "a parameter stands in two groups"
    return dict(held)


def test_groups_hold_each_trainable_parameter_once_with_decay_on_matrices_only() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 2))
    model[0].weight.requires_grad_(False)
    stages = {name: "head" if name.startswith("2.") else "stage4" for name, _ in model.named_parameters()}
    settings = TrainSettings(weight_decay=0.1, head_factor=10.0)
    held = by_parameter(parameter_groups(model, stages, settings))
    assert set(held) == {id(p) for p in model.parameters() if p.requires_grad}
    assert held[id(model[2].weight)]["weight_decay"] == 0.1
    assert held[id(model[2].bias)]["weight_decay"] == 0.0
    assert held[id(model[1].weight)]["weight_decay"] == 0.0
    assert held[id(model[2].weight)]["factor"] == 10.0
    assert held[id(model[1].weight)]["factor"] == 1.0


def test_a_tensor_that_stands_at_two_places_is_held_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2))
    model[1].weight = model[0].weight
    stages = {name: "stage4" for name, _ in model.named_parameters(remove_duplicate=False)}
    assert len(by_parameter(parameter_groups(model, stages, TrainSettings()))) == 5


def test_groups_are_named_by_stage_from_stem_to_head() -> None:
    backbone = load_backbone("resnet18", "none", 2)
    for name, parameter in backbone.model.named_parameters():
        parameter.requires_grad_(not name.startswith("layer2."))
    groups = parameter_groups(backbone.model, backbone.stages.parameters, TrainSettings())
    kept = [name for name in NAMES if name != "stage2"]
    assert [group["name"] for group in groups] == [f"{name}{end}" for name in kept for end in ("", ", undecayed")]
    assert {group["factor"] for group in groups if not group["name"].startswith("head")} == {1.0}


def test_the_optimizer_keeps_the_groups_with_their_factors_and_names() -> None:
    backbone = load_backbone("resnet18", "none", 2)
    groups = parameter_groups(backbone.model, backbone.stages.parameters, TrainSettings(layer_decay=0.5))
    optimizer = make_optimizer(backbone.model, backbone.stages.parameters, TrainSettings(layer_decay=0.5))
    for group, kept in zip(groups, optimizer.param_groups, strict=True):
        assert {key: kept[key] for key in group} == group


def test_sgd_takes_the_steps_of_plain_sgd_with_momentum_where_everything_decays() -> None:
    torch.manual_seed(0)
    ours, plain = (load_backbone("resnet18", "none", 3).model for _ in range(2))
    stages = load_backbone("resnet18", "none", 3).stages.parameters
    wanted = TrainSettings(optimizer="sgd", momentum=0.8, weight_decay=0.01, decay_norm=True, head_factor=1.0)
    mine = make_optimizer(ours, stages, wanted)
    theirs = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.8, weight_decay=0.01)
    for group in mine.param_groups:
        group["lr"] = 0.05 * group["factor"]
    for number in range(3):
        images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(number))
        for model, optimizer in ((ours, mine), (plain, theirs)):
            optimizer.zero_grad()
            model(images).square().sum().backward()
            optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(ours.parameters(), plain.parameters(), strict=True))


def test_sgd_has_the_groups_of_adamw() -> None:
    backbone = load_backbone("resnet18", "none", 2)
    kept = {}
    for kind in ("adamw", "sgd"):
        made = make_optimizer(
            backbone.model, backbone.stages.parameters, TrainSettings(optimizer=kind, layer_decay=0.5)
        )
        kept[kind] = [{key: group[key] for key in ("name", "factor", "weight_decay")} for group in made.param_groups]
    assert kept["sgd"] == kept["adamw"]
    assert {group["momentum"] for group in made.param_groups} == {0.9}


@pytest.mark.parametrize(
    ("settings", "factors"),
    [
        (TrainSettings(head_factor=10.0), (1.0, 1.0, 1.0, 1.0, 1.0, 10.0)),
        (TrainSettings(head_factor=10.0, layer_decay=0.5), (0.0625, 0.125, 0.25, 0.5, 1.0, 10.0)),
        (
            TrainSettings(head_factor=2.0, layer_decay=0.5, stage_factors={"head": 3.0, "stage1": 4.0, "stem": 0.0}),
            (0.0, 0.5, 0.25, 0.5, 1.0, 6.0),
        ),
    ],
)
def test_stages_learn_slower_the_farther_they_are_from_the_head(
    settings: TrainSettings, factors: tuple[float, ...]
) -> None:
    assert STAGES == NAMES
    assert tuple(stage_factor(stage, settings) for stage in NAMES) == factors
    backbone = load_backbone("resnet18", "none", 2)
    held = by_parameter(parameter_groups(backbone.model, backbone.stages.parameters, settings))
    parameters = dict(backbone.model.named_parameters())
    boundary = (
        "bn1.bias",
        "layer1.1.bn2.bias",
        "layer2.1.bn2.bias",
        "layer3.1.bn2.bias",
        "layer4.1.bn2.bias",
        "fc.bias",
    )
    assert tuple(held[id(parameters[name])]["factor"] for name in boundary) == factors


@pytest.mark.parametrize(
    ("name", "undecayed", "decayed"),
    [
        ("resnet18", {"bn1.weight", "layer1.0.bn1.bias", "fc.bias"}, {"conv1.weight", "fc.weight"}),
        ("levit_128s", {"stages.0.blocks.0.attn.attention_biases"}, {"stages.0.blocks.0.attn.qkv.linear.weight"}),
        (
            "swin_tiny_patch4_window7_224",
            {"layers.0.blocks.0.attn.relative_position_bias_table"},
            {"layers.0.blocks.0.attn.qkv.weight"},
        ),
        ("convnext_atto", {"stages.0.blocks.0.gamma"}, {"stages.0.blocks.0.conv_dw.weight"}),
        ("nfnet_l0", {"stages.0.0.conv1.gain", "stem.conv1.bias"}, {"stages.0.0.conv1.weight"}),
        ("resmlp_12_224", {"blocks.0.norm1.alpha", "norm.beta"}, {"blocks.0.mlp_channels.fc1.weight"}),
    ],
)
def test_norms_and_biases_decay_only_when_asked(name: str, undecayed: set[str], decayed: set[str]) -> None:
    backbone = load_backbone(name, "none", 2)
    found = norm_and_bias_names(backbone.model)
    assert undecayed <= found
    assert not decayed & found
    parameters = dict(backbone.model.named_parameters())
    by_default = by_parameter(parameter_groups(backbone.model, backbone.stages.parameters, TrainSettings()))
    assert {key for key in parameters if by_default[id(parameters[key])]["weight_decay"] == 0} == found
    asked = parameter_groups(backbone.model, backbone.stages.parameters, TrainSettings(decay_norm=True))
    assert {group["weight_decay"] for group in asked} == {TrainSettings().weight_decay}


def test_class_weights_make_classes_equal_and_average_one_over_the_images() -> None:
    targets = torch.tensor([0, 0, 0, 1, 3, 3])
    weights = class_weights(targets, 4)
    assert weights[2] == 0
    assert torch.allclose(weights[targets].mean(), torch.tensor(1.0, dtype=torch.float64))
    shares = torch.stack([weights[target] * (targets == target).sum() for target in (0, 1, 3)])
    assert torch.allclose(shares, torch.tensor([2.0, 2.0, 2.0], dtype=torch.float64))
