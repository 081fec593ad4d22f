"""A head that looks at every stage, on contrasting architectures: what it is given, and that everything else holds."""

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from finetune.backbones import STAGES, Backbone, load_backbone
from finetune.freezing import Cut, FreezePlan, cut_model, frozen_digest, lock_model, parse_policy, plan_freeze
from finetune.heads import add_multi_stage_head, multi_stage_head
from finetune.heads.modules import StatisticsPool

SIZES = {
    "resnet18": 64,
    "tf_efficientnet_lite0": 64,
    "mobilenetv3_small_050": 64,
    "convnext_atto": 64,
    "swin_tiny_patch4_window7_224": 64,
    "vit_tiny_patch16_224": 32,
    "levit_128s": None,
    "mobilevit_xxs": 64,
}
FAMILIES = list(SIZES)


def made(name: str, dropout: float = 0.0) -> Backbone:
    """In float64, with norm statistics that are not those of a new network."""
    backbone = load_backbone(name, "none", 3, image_size=SIZES[name], dropout=dropout, seed=3)
    generator = torch.Generator().manual_seed(1)
    for module in backbone.model.modules():
        if isinstance(module, _BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    backbone.model.double()
    return add_multi_stage_head(backbone, 3, dropout=dropout, seed=3)


def images(name: str, seed: int = 0) -> torch.Tensor:
    size = SIZES[name] or 224
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def locked(backbone: Backbone, name: str, policy: str) -> tuple[FreezePlan, Cut]:
    plan = plan_freeze(backbone, parse_policy(policy), tail_norm="fixed")
    lock_model(backbone.model, plan)
    cut = cut_model(backbone.model, plan, images(name, seed=7))
    assert cut.trunk is not None, cut.reason
    return plan, cut


def head_input(backbone: Backbone, pixels: torch.Tensor) -> torch.Tensor:
    """What the linear layer of the head is given."""
    given: list[torch.Tensor] = []
    hook = multi_stage_head(backbone).fc.register_forward_hook(lambda _, inputs, __: given.append(inputs[0]))
    with torch.no_grad():
        backbone.model.eval()(pixels)
    hook.remove()
    return given[0]


def statistics(values: torch.Tensor, axes: tuple[int, ...]) -> list[torch.Tensor]:
    return [values.mean(axes), (values.var(axes, correction=0) + 1e-6).sqrt()]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_body_keeps_timms_names_and_loses_the_classifier_alone(name: str) -> None:
    backbone = made(name)
    assert backbone.plain is not None
    plain, own = backbone.plain.state_dict(), backbone.model.state_dict()
    new = {"multi_stage_head.fc.weight", "multi_stage_head.fc.bias"}
    assert own.keys() - plain.keys() == new
    stages = load_backbone(name, "none", 3, image_size=SIZES[name]).stages
    gone = plain.keys() - own.keys()
    assert gone
    assert {stages.parameters[key] for key in gone} == {"head"}
    assert all(own[key].data_ptr() == plain[key].data_ptr() for key in own.keys() & plain.keys())
    parameters, buffers = dict(backbone.model.named_parameters()), dict(backbone.model.named_buffers())
    assert backbone.stages.parameters.keys() == parameters.keys()
    assert backbone.stages.buffers.keys() == buffers.keys()
    assert {key for key, stage in backbone.stages.parameters.items() if stage == "head"} == new
    containers = {key: type(module).__name__ for key, module in backbone.plain.named_modules() if key}
    kept = {key: type(module).__name__ for key, module in backbone.model.named_modules() if key in containers}
    assert kept == {key: containers[key] for key in kept}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_last_features_are_those_of_the_plain_classifier(name: str) -> None:
    backbone, pixels = made(name), images(name)
    assert isinstance(backbone.plain, nn.Module)
    classifiers = backbone.plain.get_classifier()  # type: ignore[operator]
    expected: list[torch.Tensor] = []
    for layer in classifiers if isinstance(classifiers, tuple) else (classifiers,):
        linear = layer.linear if hasattr(layer, "linear") else layer
        linear.register_forward_hook(lambda _, inputs, __: expected.append(inputs[0].flatten(1)))
    with torch.no_grad():
        backbone.plain.eval()(pixels)
    found = head_input(backbone, pixels)
    width = multi_stage_head(backbone).plain_width
    assert torch.allclose(found[:, -width:], torch.cat(expected, 1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "modules", "axes", "has_last_mean"),
    [
        ("resnet18", ["layer1", "layer2", "layer3", "layer4"], (2, 3), False),
        ("tf_efficientnet_lite0", ["blocks.1", "blocks.2", "blocks.4", "bn2"], (2, 3), False),
        ("convnext_atto", ["stages.0", "stages.1", "stages.2", "stages.3"], (2, 3), True),
        ("swin_tiny_patch4_window7_224", ["layers.0", "layers.1", "layers.2", "norm"], (1, 2), False),
        ("vit_tiny_patch16_224", ["blocks.2", "blocks.5", "blocks.8", "norm"], (1,), True),
        ("mobilenetv3_small_050", ["blocks.0", "blocks.1", "blocks.3", "blocks.5"], (2, 3), True),
    ],
)
def test_it_is_given_mean_and_deviation_of_each_stages_last_map(
    name: str, modules: list[str], axes: tuple[int, ...], has_last_mean: bool
) -> None:
    backbone, pixels = made(name), images(name)
    assert backbone.plain is not None
    seen: list[torch.Tensor] = []
    for module in modules:
        backbone.plain.get_submodule(module).register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        backbone.plain.eval()(pixels)
    expected = [part for values in seen for part in statistics(values, axes)]
    if not has_last_mean:
        expected.pop(-2)  # the plain classifier's input is that mean
    found = head_input(backbone, pixels)
    assert torch.allclose(found[:, : -multi_stage_head(backbone).plain_width], torch.cat(expected, 1), rtol=1e-10)


@pytest.mark.parametrize("policy", ["first-three", "head-only", "last-two-stages"])
@pytest.mark.parametrize("name", FAMILIES)
def test_trunk_and_tail_are_the_whole_network_and_so_are_the_gradients(name: str, policy: str) -> None:
    backbone = made(name, dropout=0.3)
    plan, cut = locked(backbone, name, policy)
    model, pixels, labels = backbone.model, images(name), torch.tensor([0, 2])
    assert cut.trunk is not None
    with torch.no_grad():
        features = cut.trunk(pixels)
        model.eval()
        assert torch.allclose(cut.eval_tail(*features), model(pixels), rtol=1e-10, atol=1e-12)

    def gradients(network: nn.Module, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        network.train()
        model.zero_grad(set_to_none=True)
        torch.manual_seed(0)
        nn.functional.cross_entropy(network(*inputs), labels).backward()
        return {key: held.grad.clone() for key, held in model.named_parameters() if held.grad is not None}

    whole, parts = gradients(model, pixels), gradients(cut.train_tail, *features)
    assert whole.keys() == parts.keys() == plan.trainable_parameters
    for key, gradient in whole.items():
        scale = float(gradient.abs().max())
        assert float((gradient - parts[key]).abs().max()) <= 1e-10 * max(scale, 1e-12), key


@pytest.mark.parametrize("name", FAMILIES)
def test_steps_move_what_learns_and_no_frozen_byte(name: str) -> None:
    backbone = made(name, dropout=0.2)
    plan, cut = locked(backbone, name, "first-three")
    before = {key: tensor.clone() for key, tensor in backbone.model.state_dict().items()}
    digest = frozen_digest(backbone.model, plan)
    learning = [held for held in backbone.model.parameters() if held.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-2, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(backbone.model.train()(images(name)), torch.tensor([0, 2])).backward()
        optimizer.step()
    after = backbone.model.state_dict()
    body = {key for key, stage in (backbone.stages.parameters | backbone.stages.buffers).items() if stage in STAGES[:4]}
    assert body <= plan.frozen_parameters | plan.frozen_buffers
    assert frozen_digest(backbone.model, plan) == digest
    assert all(torch.equal(after[key], before[key]) for key in body & after.keys())
    assert not torch.equal(after["multi_stage_head.fc.weight"], before["multi_stage_head.fc.weight"])


def test_head_only_keeps_short_vectors_and_nothing_but_the_head_learns() -> None:
    plan, cut = locked(made("resnet18"), "resnet18", "head-only")
    assert plan.trainable_parameters == {"multi_stage_head.fc.weight", "multi_stage_head.fc.bias"}
    assert sorted(cut.shapes) == [(128,), (256,), (512,), (512,), (512,)]


def test_norm_only_finds_the_norm_layers_in_their_own_containers() -> None:
    name = "convnext_atto"
    plan = plan_freeze(made(name), parse_policy("norm-only"))
    plain = plan_freeze(load_backbone(name, "none", 3, image_size=64), parse_policy("norm-only"))
    body = {key for key in plain.trainable_parameters if not key.startswith("head.fc")}
    assert plan.trainable_parameters == body | {"multi_stage_head.fc.weight", "multi_stage_head.fc.bias"}


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "convnext_atto"])
def test_dropout_acts_once_and_on_all_that_the_head_is_given(name: str) -> None:
    backbone, pixels = made(name, dropout=0.5), images(name)
    given: list[torch.Tensor] = []
    hook = multi_stage_head(backbone).fc.register_forward_hook(lambda _, inputs, __: given.append(inputs[0]))
    plan_freeze(backbone, parse_policy("head-only"))
    for module in backbone.model.modules():
        module.training = isinstance(module, nn.Dropout)
    torch.manual_seed(0)
    with torch.no_grad():
        backbone.model(pixels)
    hook.remove()
    whole = head_input(backbone, pixels)
    dropped = given[0] == 0
    assert torch.allclose(given[0][~dropped], 2 * whole[~dropped])
    assert 0.4 < dropped.double().mean() < 0.6


def test_the_new_head_is_drawn_from_the_seed_and_the_global_state_is_left_alone() -> None:
    def weights(seed: int) -> torch.Tensor:
        backbone = load_backbone("test_resnet", "none", 3, image_size=32)
        return multi_stage_head(add_multi_stage_head(backbone, 3, seed=seed)).fc.weight.detach()

    torch.manual_seed(5)
    state = torch.get_rng_state()
    one = weights(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, weights(1))
    assert not torch.equal(one, weights(2))


def test_the_meta_device_gives_the_same_network() -> None:
    with torch.device("meta"):
        drawn = load_backbone("mobilevit_xxs", "none", 3, image_size=64)
    shapes = {key: tensor.shape for key, tensor in add_multi_stage_head(drawn, 3).model.state_dict().items()}
    assert shapes == {key: tensor.shape for key, tensor in made("mobilevit_xxs").model.state_dict().items()}


@settings(deadline=None)
@given(
    sizes=st.tuples(*(st.integers(1, 5) for _ in range(4))),
    axes=st.sampled_from([(2, 3), (1, 2)]),
    scale=st.floats(0, 100),
)
def test_pooled_values_are_mean_and_deviation_with_finite_gradients(
    sizes: tuple[int, ...], axes: tuple[int, int], scale: float
) -> None:
    values = (scale * torch.randn(sizes, dtype=torch.float64)).requires_grad_()
    pooled = StatisticsPool(axes)(values)
    assert torch.allclose(pooled, torch.cat(statistics(values, axes), 1))
    pooled.sum().backward()
    assert values.grad is not None
    assert values.grad.isfinite().all()
    assert torch.equal(StatisticsPool(axes, has_mean=False)(values), pooled[:, pooled.shape[1] // 2 :])
    half = StatisticsPool(axes)(values.detach().half())
    assert half.dtype == torch.float32


def test_every_policy_has_a_plan() -> None:
    backbone = made("resnet18")
    for policy in ("first-three", "last-two-stages", "head-only", "norm-only", "full"):
        plan = plan_freeze(backbone, parse_policy(policy))
        assert {"multi_stage_head.fc.weight", "multi_stage_head.fc.bias"} <= plan.trainable_parameters


def test_timm_is_what_it_was() -> None:
    backbone, pixels = made("resnet18"), images("resnet18")
    assert backbone.plain is not None
    fresh = timm.create_model("resnet18", num_classes=3).double()
    fresh.load_state_dict(backbone.plain.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(fresh.eval()(pixels), backbone.plain.eval()(pixels))
