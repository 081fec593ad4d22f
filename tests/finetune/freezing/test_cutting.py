"""Cuts: tail(trunk(x)) is the whole model, for contrasting families, in both modes."""

import pytest
import timm
import torch
from timm.layers import convert_splitbn_model
from timm.models.resnet import ResNet

from finetune.backbones import Backbone, load_backbone, map_stages
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


def draw(name: str, count: int, seed: int) -> torch.Tensor:
    """Images in float64, small for those that take any size."""
    size = 224 if name.startswith(("vit", "swin", "levit")) else 64
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cut_of(name: str, policy: str, **options: float) -> tuple[torch.nn.Module, FreezePlan, Cut]:
    backbone = load_backbone(name, "none", 3, **options)  # type: ignore[arg-type]
    plan = plan_freeze(backbone, parse_policy(policy), tail_norm="fixed")
    backbone.model.double()
    lock_model(backbone.model, plan)
    return backbone.model, plan, cut_model(backbone.model, plan, draw(name, 2, seed=1))


def assert_exact(model: torch.nn.Module, cut: Cut, images: torch.Tensor) -> None:
    assert cut.reason == ""
    assert cut.trunk is not None
    features = cut.trunk(images)
    for tail, training in ((cut.eval_tail, False), (cut.train_tail, True)):
        model.train(training)
        tail.train(training)
        torch.manual_seed(0)
        whole = model(images)
        torch.manual_seed(0)
        parts = tail(*(feature.clone() for feature in features))
        assert (whole - parts).abs().max() <= 1e-10 * whole.abs().max()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_cut_is_exact_in_float64_in_both_modes_for_any_batch_size(name: str) -> None:
    model, _, cut = cut_of(name, "first-three", dropout=0.3)
    assert_exact(model, cut, draw(name, 3, seed=2))


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


class Noisy(ResNet):
    """Draws noise between layer2 and layer3."""

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer2(self.layer1(self.maxpool(self.act1(self.bn1(self.conv1(x))))))
        return self.layer4(self.layer3(x + 0.1 * torch.randn_like(x)))


class Centred(ResNet):
    """Takes the mean over the batch from every image, without any module that says so."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x - x.mean(0, keepdim=True))


class Counting(ResNet):
    """Computes something else at each call, which a trace cannot know."""

    calls = 0

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward_features(x) * self.calls


class Shifted(ResNet):
    """Adds a frozen parameter, still zero, that is shaped by the size of the image alone."""

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer2(self.layer1(self.maxpool(self.act1(self.bn1(self.conv1(x))))))
        x = self.layer3(x)
        return self.layer4(x) + self.shift.expand(1, 512, x.shape[-2], x.shape[-1]).mean((2, 3), keepdim=True)


def cut_resnet(kind: type[ResNet], policy: str | list[str] = "first-three") -> tuple[torch.nn.Module, Cut]:
    backbone = load_backbone("resnet18", "none", 3)
    model = backbone.model.double()
    model.__class__ = kind
    model.register_parameter("shift", torch.nn.Parameter(torch.zeros(1, 512, 1, 1, dtype=torch.float64)))
    staged = Backbone("resnet18", model, map_stages(model), backbone.preprocessing, ("fc",), False)
    plan = plan_freeze(staged, parse_policy(policy), tail_norm="fixed")
    lock_model(model, plan)
    return model, cut_model(model, plan, draw("small", 2, seed=1))


def test_something_random_ends_the_trunk() -> None:
    model, cut = cut_resnet(Noisy)
    assert cut.shapes == ((128, 8, 8),)
    assert_exact(model, cut, torch.randn(3, 3, 64, 64, dtype=torch.float64))


def test_a_value_that_mixes_the_images_of_a_batch_is_refused() -> None:
    _, cut = cut_resnet(Centred)
    assert cut.trunk is None
    assert "mixes the images of a batch" in cut.reason


def test_a_head_that_is_still_zero_hides_no_wrong_cut() -> None:
    backbone = load_backbone("resnet18", "none", 3)
    model = backbone.model
    torch.nn.init.zeros_(model.fc.weight)  # type: ignore[union-attr,arg-type]
    torch.nn.init.zeros_(model.fc.bias)  # type: ignore[union-attr,arg-type]
    model.__class__ = Counting
    plan = plan_freeze(backbone, parse_policy("first-three"), tail_norm="fixed")
    lock_model(model, plan)
    cut = cut_model(model, plan, torch.randn(2, 3, 64, 64))
    assert cut.trunk is None
    assert "differs from the whole one" in cut.reason


@pytest.mark.parametrize("name", ["vit_tiny_patch16_dinov3_qkvb", "levit_128s", "convnext_atto"])
def test_cutting_leaves_every_byte_of_the_model_as_it_was(name: str) -> None:
    backbone = load_backbone(name, "none", 3)
    plan = plan_freeze(backbone, parse_policy("first-three"))
    lock_model(backbone.model, plan)
    before = {key: value.clone() for key, value in backbone.model.state_dict().items()}
    cut = cut_model(backbone.model, plan, torch.randn(2, 3, 224 + 32 * (name[0] == "v"), 224 + 32 * (name[0] == "v")))
    assert cut.reason == ""
    after = backbone.model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_pooled_shortcut_is_made_in_the_tail_and_not_stored() -> None:
    _, _, cut = cut_of("resnet50d", "first-three")
    assert cut.shapes == ((1024, 4, 4),)


def cut_small(name: str, policy: str | list[str], **options: float) -> tuple[torch.nn.Module, Cut]:
    """A timm model at 64 pixels in float64."""
    with torch.random.fork_rng():
        model = timm.create_model(name, num_classes=3, img_size=64, **options).double()
    staged = Backbone(name, model, map_stages(model), None, (), False)  # type: ignore[arg-type]
    plan = plan_freeze(staged, parse_policy(policy))
    lock_model(model, plan)
    return model, cut_model(model, plan, draw("small", 2, seed=1))


def test_a_value_with_several_rows_an_image_is_stored_with_the_image_first() -> None:
    model, cut = cut_small("tnt_s_legacy_patch16_224", "first-three")
    assert (16, 16, 24) in cut.shapes
    assert_exact(model, cut, draw("small", 3, seed=2))


def test_position_encodings_that_hang_on_the_image_size_belong_to_the_tail() -> None:
    model, cut = cut_small("vit_tiny_patch16_dinov3_qkvb", "first-three")
    assert cut.shapes == ((21, 192),)
    assert_exact(model, cut, draw("small", 3, seed=2))


def test_what_the_tail_keeps_is_made_with_the_weights_as_they_are() -> None:
    model, cut = cut_resnet(Shifted)
    assert cut.shapes == ((256, 4, 4),)
    assert_exact(model, cut, draw("small", 3, seed=2))


@pytest.mark.parametrize("rate", ["patch_drop_rate", "attn_drop_rate", "drop_path_rate"])
def test_what_drops_at_random_in_a_part_that_learns_is_alive_and_exact(rate: str) -> None:
    frozen = ["cls_token", "pos_embed", "patch_embed.*", "blocks.0.*", "blocks.11.attn.qkv.*"]
    model, cut = cut_small("vit_tiny_patch16_224", frozen, **{rate: 0.5})
    images = draw("small", 3, seed=2)
    assert_exact(model, cut, images)
    assert cut.trunk is not None
    features = cut.trunk(images)
    cut.train_tail.train()
    assert not torch.equal(cut.train_tail(*features), cut.train_tail(*features))


def test_dropped_patches_end_the_trunk_where_the_stem_is_not_frozen_as_a_stage() -> None:
    by_name = ["cls_token", "pos_embed", "patch_embed.*", "blocks.[0-2].*"]
    for frozen, reaches_the_blocks in ((["stem", "stage1"], True), (by_name, False)):
        _, cut = cut_small("vit_tiny_patch16_224", frozen, patch_drop_rate=0.5)
        assert cut.trunk is not None
        assert any(name == "blocks.2" for name, _ in cut.trunk.named_modules()) is reaches_the_blocks


def test_split_batch_norm_is_cut_exactly_where_it_sleeps_and_ends_the_trunk_where_it_learns() -> None:
    backbone = load_backbone("resnet18", "none", 3)
    split = convert_splitbn_model(backbone.model, 2).double()
    staged = Backbone("split", split, map_stages(split), backbone.preprocessing, ("fc",), False)
    plan = plan_freeze(staged, parse_policy("first-three"), tail_norm="batch")
    lock_model(split, plan)
    cut = cut_model(split, plan, torch.randn(2, 3, 64, 64, dtype=torch.float64))
    assert cut.shapes == ((256, 4, 4),)
    assert_exact(split, cut, torch.randn(4, 3, 64, 64, dtype=torch.float64))


def test_a_distilled_head_that_gives_two_outputs_in_training_is_refused() -> None:
    backbone = load_backbone("deit_tiny_distilled_patch16_224", "none", 3)
    backbone.model.distilled_training = True  # type: ignore[assignment]
    plan = plan_freeze(backbone, parse_policy("first-three"))
    lock_model(backbone.model, plan)
    cut = cut_model(backbone.model, plan, torch.randn(2, 3, 224, 224))
    assert cut.trunk is None
    assert cut.reason == "its output in training mode is not one tensor of logits"


def test_a_tensor_shared_by_frozen_and_learning_places_ends_the_trunk_at_the_first() -> None:
    backbone = load_backbone("resnet18", "none", 3)
    model = backbone.model.double()
    model.layer2[1].conv2 = model.layer2[1].conv1  # type: ignore[index,union-attr]
    plan = plan_freeze(
        backbone, parse_policy(["stem", "stage1", "stage3", "layer2.0.*", "layer2.1.conv1.*"]), tail_norm="fixed"
    )
    assert "layer2.1.conv1.weight" in plan.trainable_parameters
    lock_model(model, plan)
    cut = cut_model(model, plan, torch.randn(2, 3, 64, 64, dtype=torch.float64))
    assert cut.names == ("layer2_0_act2",)
    assert_exact(model, cut, torch.randn(3, 3, 64, 64, dtype=torch.float64))


def test_tail_gradients_on_features_are_those_of_the_whole_model() -> None:
    model, plan, cut = cut_of("resnet18", "first-three")
    assert cut.trunk is not None
    images = draw("resnet18", 2, seed=3)
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
