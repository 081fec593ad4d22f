"""Frozen means frozen: real training steps move no frozen byte, and a flipped one is seen."""

import pytest
import torch

from finetune.backbones import load_backbone
from finetune.freezing import cut_model, frozen_digest, lock_model, parse_policy, plan_freeze
from finetune.jobs.freezing_record import freeze_record
from finetune.training.optimizer import make_optimizer
from recipes import TrainSettings

FAMILIES = ["resnet18", "tf_efficientnet_lite0", "convnext_atto", "vit_tiny_patch16_224", "levit_128s"]


@pytest.mark.parametrize("name", FAMILIES)
def test_training_steps_move_what_learns_and_nothing_else(name: str) -> None:
    backbone = load_backbone(name, "none", 3, dropout=0.2)
    model = backbone.model
    plan = plan_freeze(backbone, parse_policy("first-three"))
    lock_model(model, plan)
    before = frozen_digest(model, plan)
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    optimizer = make_optimizer(model, backbone.stages.parameters, TrainSettings(weight_decay=0.1))
    for _ in range(2):
        model.train()
        model(torch.randn(2, 3, 224, 224)).square().sum().backward()
        optimizer.step()
    assert frozen_digest(model, plan) == before
    after = model.state_dict()
    for key in plan.frozen_parameters | plan.frozen_buffers:
        assert key not in after or torch.equal(after[key], state[key])
    parameters = dict(model.named_parameters())
    assert all(parameters[key].grad is None for key in plan.frozen_parameters & parameters.keys())
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert held == {id(parameters[key]) for key in plan.trainable_parameters}
    assert any(not torch.equal(after[key], state[key]) for key in plan.trainable_parameters)


def test_train_cannot_wake_a_frozen_module() -> None:
    backbone = load_backbone("resnet18", "none", 2)
    plan = plan_freeze(backbone, parse_policy("first-three"))
    lock_model(backbone.model, plan)
    torch.nn.Sequential(backbone.model).train()
    awake = {name for name, module in backbone.model.named_modules() if module.training}
    assert awake.isdisjoint(plan.eval_modules)
    assert "layer4.0.conv1" in awake


def test_a_flipped_frozen_value_is_not_verified() -> None:
    backbone = load_backbone("resnet18", "none", 2)
    plan = plan_freeze(backbone, parse_policy("first-three"))
    lock_model(backbone.model, plan)
    cut = cut_model(backbone.model, plan, torch.randn(2, 3, 64, 64))
    before = frozen_digest(backbone.model, plan)
    assert freeze_record(plan, cut, before, frozen_digest(backbone.model, plan))["verified"] is True
    with torch.no_grad():
        backbone.model.get_parameter("layer2.0.conv1.weight")[0, 0, 0, 0] += 1e-7
    assert freeze_record(plan, cut, before, frozen_digest(backbone.model, plan))["verified"] is False


def test_a_moved_frozen_buffer_is_not_verified() -> None:
    backbone = load_backbone("resnet18", "none", 2)
    plan = plan_freeze(backbone, parse_policy("first-three"))
    before = frozen_digest(backbone.model, plan)
    backbone.model.get_buffer("bn1.num_batches_tracked").add_(1)
    assert frozen_digest(backbone.model, plan) != before
