"""Heat maps: Grad-CAM to the last bits, and a network that is left as it was."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from finetune.backbones import Backbone, describe_backbone, load_backbone
from finetune.explaining import class_map, explain_image
from finetune.freezing import lock_model, parse_policy, plan_freeze
from finetune.heads import add_multi_stage_head

LITE0 = Path(__file__).parents[4] / "shared/weights/tf_efficientnet_lite0.safetensors"


def built(name: str, classes: int = 3, **options: object) -> Backbone:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(name, num_classes=classes, **options)
    return describe_backbone(name, model, is_pretrained=False)


def noise(backbone: Backbone, height: int | None = None, width: int | None = None) -> Tensor:
    wanted = backbone.preprocessing
    size = (3, height or wanted.height, width or wanted.width)
    return torch.randn(size, generator=torch.Generator().manual_seed(1))


def captum_map(model: nn.Module, layer: nn.Module, image: Tensor, target: int) -> Tensor:
    from captum.attr import LayerGradCam

    for module in model.modules():
        if hasattr(module, "inplace"):  # captum's hooks and in-place activations do not go together
            module.inplace = False
    return LayerGradCam(model.eval(), layer).attribute(image[None], target)[0, 0].detach()


def assert_same_map(ours: Tensor | str, theirs: Tensor) -> None:
    assert isinstance(ours, Tensor)
    assert ours.shape == theirs.shape
    assert float(theirs.abs().max()) > 0
    assert float((ours - theirs).abs().max()) <= 1e-5 * float(theirs.abs().max())


@pytest.mark.parametrize(("name", "layer"), [("resnet18", "layer4"), ("convnext_atto", "stages.3")])
def test_the_map_is_captums(name: str, layer: str) -> None:
    backbone = built(name)
    image = noise(backbone)
    assert_same_map(
        class_map(backbone, image, 2), captum_map(backbone.model, backbone.model.get_submodule(layer), image, 2)
    )


@pytest.mark.skipif(not LITE0.exists(), reason="the real weights are not beside the repository")
def test_the_map_of_real_weights_is_captums() -> None:
    backbone = describe_backbone("lite0", timm.create_model("tf_efficientnet_lite0"), is_pretrained=True)
    backbone.model.load_state_dict(load_file(LITE0))
    image = noise(backbone)
    for target in (0, 5, 999):
        assert_same_map(
            class_map(backbone, image, target), captum_map(backbone.model, backbone.model.bn2, image, target)
        )


class TokensAsMap(nn.Module):
    """A vision transformer that shows the patches between its last two blocks as a map, for captum."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.map = model, nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        model = self.model
        tokens = model.norm_pre(model.patch_drop(model._pos_embed(model.patch_embed(images))))
        for block in model.blocks[:-1]:
            tokens = block(tokens)
        prefix, patches = tokens[:, : model.num_prefix_tokens], tokens[:, model.num_prefix_tokens :]
        shown = self.map(patches.transpose(1, 2).unflatten(2, model.patch_embed.grid_size))
        tokens = torch.cat([prefix, shown.flatten(2).transpose(1, 2)], 1)
        return model.forward_head(model.norm(model.blocks[-1](tokens)))


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_little_patch16_reg4_gap_256"])
def test_the_map_of_a_class_token_is_that_of_the_patches_it_reads_last(name: str) -> None:
    backbone = built(name)
    image = noise(backbone)
    ours = class_map(backbone, image, 1)
    if "gap" in name:  # the mean of all patches reads them to the end
        assert isinstance(ours, Tensor)
        tokens = backbone.model.eval().forward_features(image[None]).detach().requires_grad_()
        slope = torch.autograd.grad(backbone.model.forward_head(tokens)[0, 1], tokens)[0][0, 4:].mean(0)
        assert torch.allclose(ours, (tokens[0, 4:] @ slope).reshape(16, 16), rtol=1e-4, atol=1e-7)
        return
    shown = TokensAsMap(backbone.model)
    assert_same_map(ours, captum_map(shown, shown.map, image, 1))


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
def test_a_multi_stage_head_is_explained_through_all_of_its_ways(name: str) -> None:
    backbone = add_multi_stage_head(built(name), 3)
    image = noise(backbone)
    body, network = backbone.plain, backbone.model.eval()
    assert body is not None
    ours = class_map(backbone, image, 2)
    with torch.no_grad():
        last = body.eval().forward_features(image[None])
    assert isinstance(ours, Tensor)
    steps = []
    for channel in (0, 7, last.shape[1] - 1):  # the slope of one channel, by moving its whole map a little
        logits = []
        for step in (-1e-2, 1e-2):
            moved = shifted_run(network, image, channel, step)
            logits.append(float(moved[0, 2]))
        steps.append((logits[1] - logits[0]) / 2e-2 / last[0, 0].numel())
    weights = weights_of(backbone, image, 2)
    assert np.allclose(steps, [float(weights[channel]) for channel in (0, 7, last.shape[1] - 1)], rtol=0.05, atol=1e-6)
    assert torch.allclose(ours, torch.einsum("c,chw->hw", weights, last[0]), rtol=1e-3, atol=1e-6)


def shifted_run(network: nn.Module, image: Tensor, channel: int, step: float) -> Tensor:
    """Logits with one channel of the last stage's map moved, wherever it is read."""
    pool, reader = network.get_submodule("multi_stage_pool.stage4"), plain_reader(network)

    def move(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        shift = torch.zeros_like(given[0])
        shift[:, channel] = step
        return (given[0] + shift, *given[1:])

    handles = [module.register_forward_pre_hook(move) for module in (pool, reader)]
    try:
        with torch.no_grad():
            return network(image[None])
    finally:
        for handle in handles:
            handle.remove()


def plain_reader(network: nn.Module) -> nn.Module:
    return next(m for n, m in network.named_modules() if n in ("global_pool.pool", "head.global_pool.pool"))


def weights_of(backbone: Backbone, image: Tensor, target: int) -> Tensor:
    """Mean gradient of each channel of the last map, through a hook of its own."""
    seen: list[Tensor] = []
    pool = backbone.model.get_submodule("multi_stage_pool.stage4")
    handle = pool.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    logits = backbone.model(image[None].requires_grad_())
    handle.remove()
    return torch.autograd.grad(logits[0, target], seen[0])[0][0].mean((1, 2))


def state_of(model: nn.Module) -> dict[str, object]:
    tensors = {name: tensor.clone() for name, tensor in model.state_dict(keep_vars=False).items()}
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()]
    grads = [parameter.grad for parameter in model.parameters()]
    wishes = [parameter.requires_grad for parameter in model.parameters()]
    return {
        "tensors": tensors,
        "hooks": hooks,
        "grads": grads,
        "wishes": wishes,
        "modes": [m.training for m in model.modules()],
    }


@pytest.mark.parametrize("head", ["linear", "multi-stage"])
@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(head: str, training: bool) -> None:
    backbone = built("resnet18")
    if head == "multi-stage":
        backbone = add_multi_stage_head(backbone, 3)
    backbone.model.train(training)
    backbone.model.get_submodule("layer1").eval()
    before = state_of(backbone.model)
    made = class_map(backbone, noise(backbone), 0)
    after = state_of(backbone.model)
    assert isinstance(made, Tensor)
    for name, tensor in before.pop("tensors").items():  # type: ignore[attr-defined]
        assert torch.equal(tensor, after["tensors"][name]), name  # type: ignore[index]
    after.pop("tensors")
    assert before == after
    assert after["grads"] == [None] * len(after["grads"])  # type: ignore[arg-type]


def test_a_network_that_raises_keeps_no_hook_and_its_mode() -> None:
    backbone = built("resnet18")
    before = state_of(backbone.model)
    with pytest.raises(RuntimeError):
        explain_image(backbone, torch.randn(5, 64, 64), 0)
    after = state_of(backbone.model)
    assert (before["hooks"], before["modes"]) == (after["hooks"], after["modes"])


@pytest.mark.parametrize("policy", ["first-three", "head-only"])
def test_what_is_frozen_does_not_change_the_map(policy: str) -> None:
    free, frozen = built("resnet18"), built("resnet18")
    lock_model(frozen.model, plan_freeze(frozen, parse_policy(policy)))
    frozen.model.requires_grad_(False)
    image = noise(free)
    one, other = class_map(free, image, 1), class_map(frozen, image, 1)
    assert isinstance(one, Tensor)
    assert isinstance(other, Tensor)
    assert torch.equal(one, other)
    assert not any(parameter.requires_grad for parameter in frozen.model.parameters())


@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [
        ("resnet18", (96, 160), (3, 5)),
        ("resnet18", (100, 150), (4, 5)),
        ("swin_tiny_patch4_window7_224", (224, 224), (7, 7)),
        ("deit_tiny_distilled_patch16_224", (224, 224), (14, 14)),
        ("mobilenetv3_small_100", (64, 128), (2, 4)),
    ],
)
def test_maps_have_the_proportion_of_the_image(name: str, size: tuple[int, int], shape: tuple[int, int]) -> None:
    backbone = built(name)
    image = noise(backbone, *size)
    made = class_map(backbone, image, 0)
    heat = explain_image(backbone, image, 0)
    assert isinstance(made, Tensor)
    assert tuple(made.shape) == shape
    assert not isinstance(heat, str)
    assert heat.shape == size
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert 0.5 < heat.max() <= 1


def test_the_heat_lies_where_the_score_comes_from() -> None:
    backbone = built("resnet18", 2)
    model = backbone.model
    with torch.no_grad():
        model.fc.weight.copy_(torch.stack([torch.ones(512), -torch.ones(512)]))
    image = torch.zeros(3, 224, 224)
    image[:, 160:, :64] = 3 * torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0))
    blank = torch.zeros(3, 224, 224)
    heat, base = class_map(backbone, image, 0), class_map(backbone, blank, 0)
    assert isinstance(heat, Tensor)
    assert isinstance(base, Tensor)
    row, column = divmod(int((heat - base).abs().argmax()), 7)
    assert row >= 4
    assert column <= 2
    cold = explain_image(backbone, image, 1)
    assert not isinstance(cold, str)
    assert not cold.any()  # every value speaks against the second class


def test_a_map_of_one_position_is_refused_with_the_reason() -> None:
    backbone = built("resnet18")
    made = explain_image(backbone, noise(backbone, 32, 32), 0)
    assert isinstance(made, str)
    assert "positions" in made


def test_a_network_for_grey_images_is_explained() -> None:
    backbone = load_backbone("resnet18", "none", 3, channels=1)
    heat = explain_image(backbone, torch.randn(1, 64, 96), 0)
    assert not isinstance(heat, str)
    assert heat.shape == (64, 96)
