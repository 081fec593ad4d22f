"""Frozen means frozen, in real training steps of contrasting architectures with dropout and drop-path on."""

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

import finetune
from finetune.backbones import STAGES, load_backbone, map_stages
from finetune.exporting import save_timm_folder

FAMILIES = [
    "resnet18",
    "tf_efficientnet_lite0",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "mobileone_s0",
    "levit_128s",
    "nf_regnet_b0",
]


def made(name: str) -> nn.Module:
    options = {} if name.startswith("levit") else {"drop_path_rate": 0.2}
    model: nn.Module = timm.create_model(name, num_classes=3, drop_rate=0.2, **options)
    return model


def images(name: str) -> torch.Tensor:
    """A batch of two, small where the architecture takes any size."""
    size = 224 if name.startswith(("vit", "swin", "levit")) else 64
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", FAMILIES)
def test_steps_move_what_learns_and_no_frozen_byte(name: str) -> None:
    model = made(name)
    lock = finetune.freeze(model, "first-three", tail_norm="batch")
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    optimizer = torch.optim.AdamW(lock.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(2):
        model.train()
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(images(name)), torch.tensor([0, 2])).backward()
        optimizer.step()
    lock.verify()
    after, plan, stages = model.state_dict(), lock.plan, map_stages(model)
    untouched = {key for key, stage in (stages.parameters | stages.buffers).items() if stage in STAGES[:4]}
    assert all(torch.equal(after[key], before[key]) for key in after.keys() & untouched)
    assert untouched <= plan.frozen_parameters | plan.frozen_buffers
    parameters = dict(model.named_parameters())
    assert all(parameters[key].grad is None for key in plan.frozen_parameters)
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameters[key]) for key in plan.trainable_parameters)
    assert any(not torch.equal(after[key], before[key]) for key in plan.trainable_parameters)
    trunk, _ = lock.cut(images(name))
    model.train()
    with torch.inference_mode():
        one, two = trunk(images(name)), trunk(images(name))
    assert all(torch.equal(mine, yours) for mine, yours in zip(one, two, strict=True))


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_on_stored_features_are_those_of_the_whole_network(name: str) -> None:
    model = made(name).double()
    lock = finetune.freeze(model, "first-three")
    model.train()
    trunk, tail = lock.cut(images(name).double())
    labels = torch.tensor([0, 2])
    with torch.no_grad():
        features = trunk(images(name).double())

    def gradients(network: nn.Module, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        model.zero_grad(set_to_none=True)
        torch.manual_seed(0)
        nn.functional.cross_entropy(network(*inputs), labels).backward()
        return {key: held.grad.clone() for key, held in model.named_parameters() if held.grad is not None}

    whole = gradients(model, images(name).double())
    parts = gradients(tail, *(feature.clone() for feature in features))
    assert whole.keys() == parts.keys()
    assert whole.keys() >= {key for key in lock.plan.trainable_parameters if "head" in key or "fc" in key}
    for key, gradient in whole.items():
        scale = float(gradient.abs().max())
        assert float((gradient - parts[key]).abs().max()) <= 1e-10 * max(scale, 1e-12), key


@pytest.mark.parametrize("name", FAMILIES)
def test_the_saved_model_has_timms_keys_and_loads_strictly(name: str, tmp_path: Path) -> None:
    backbone = load_backbone(name, "none", 3)
    finetune.freeze(backbone.model, "first-three")
    save_timm_folder(backbone, ("a", "b", "c"), tmp_path)
    plain = timm.create_model(name, num_classes=3)
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert list(loaded.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(backbone.model.state_dict(), strict=True)
    saved = loaded.state_dict()
    assert all(torch.equal(saved[key], tensor) for key, tensor in backbone.model.state_dict().items())
