"""Cuts: tail(trunk(x)) is the whole model, for contrasting families, in both modes."""

import pytest
import timm
import torch

from finetune.backbones import load_backbone
from finetune.freezing import Cut, FreezePlan, cut_model, lock_model, parse_policy, plan_freeze

FAMILIES = [
    "resnet18",
    "tf_efficientnet_lite0",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "mobileone_s0",
    "levit_128s",
    "nfnet_l0",
]


def cut_of(name: str, policy: str, **options: float) -> tuple[torch.nn.Module, FreezePlan, Cut]:
    backbone = load_backbone(name, "none", 3, **options)  # type: ignore[arg-type]
    plan = plan_freeze(backbone, parse_policy(policy), tail_norm="fixed")
    backbone.model.double()
    lock_model(backbone.model, plan)
    example = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return backbone.model, plan, cut_model(backbone.model, plan, example)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_cut_is_exact_in_float64_in_both_modes_for_any_batch_size(name: str) -> None:
    model, _, cut = cut_of(name, "first-three", dropout=0.3)
    assert cut.reason == ""
    assert cut.trunk is not None
    images = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    features = cut.trunk(images)
    for tail, training in ((cut.eval_tail, False), (cut.train_tail, True)):
        model.train(training)
        torch.manual_seed(0)
        whole = model(images)
        torch.manual_seed(0)
        parts = tail(*(feature.clone() for feature in features))
        assert (whole - parts).abs().max() <= 1e-10 * whole.abs().max()


def test_dropout_in_the_head_is_alive_in_the_training_tail_only() -> None:
    _, _, cut = cut_of("tf_efficientnet_lite0", "head-only", dropout=0.5)
    feature = torch.ones(1, *cut.shapes[0], dtype=torch.float64)
    assert not torch.equal(cut.train_tail(feature), cut.train_tail(feature))
    assert torch.equal(cut.eval_tail(feature), cut.eval_tail(feature))


def test_the_trunk_of_first_three_is_empty_when_the_stem_learns() -> None:
    _, _, cut = cut_of("resnet18", "stage1,stage2")
    assert cut.trunk is None
    assert "no value of the network is free of trainable parameters" in cut.reason


def test_full_has_no_trunk_and_says_so() -> None:
    model, _, cut = cut_of("resnet18", "full")
    assert cut.trunk is None
    assert cut.train_tail is model
    assert cut.reason == "the policy freezes nothing"


def test_a_model_whose_graph_depends_on_its_data_is_kept_whole_with_the_reason() -> None:
    backbone = load_backbone("resnet18", "none", 3)
    plan = plan_freeze(backbone, parse_policy("first-three"))
    lock_model(backbone.model, plan)

    class Moody(type(backbone.model)):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x if x.sum() > 0 else -x)  # type: ignore[no-any-return]

    backbone.model.__class__ = Moody
    cut = cut_model(backbone.model, plan, torch.randn(2, 3, 64, 64))
    assert cut.trunk is None
    assert "cannot be traced" in cut.reason


def test_tail_gradients_on_features_are_those_of_the_whole_model() -> None:
    model, plan, cut = cut_of("resnet18", "first-three")
    assert cut.trunk is not None
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    model.train()
    model(images).square().sum().backward()
    whole = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        features = cut.trunk(images)
    cut.train_tail(*features).square().sum().backward()
    assert set(whole) == plan.trainable_parameters
    for name, parameter in model.named_parameters():
        if name in whole:
            assert parameter.grad is not None
            assert (parameter.grad - whole[name]).abs().max() <= 1e-10 * whole[name].abs().max()


def test_tracing_leaves_no_stand_ins_in_the_model() -> None:
    model, _, _ = cut_of("levit_128s", "first-three")
    assert model.eval()(torch.zeros(1, 3, 224, 224, dtype=torch.float64)).shape == (1, 3)
    assert set(model.state_dict()) == set(timm.create_model("levit_128s", num_classes=3).state_dict())
