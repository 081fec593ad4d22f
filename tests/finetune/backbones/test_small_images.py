"""Networks for small images: what an output stride and a small stem leave alone, and what they make of weights."""

import json
import math
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.resnet import ResNet
from torch import nn
from torch.nn.functional import conv2d, interpolate

import finetune
from finetune.backbones import Backbone, Strides, expected_preprocessing, load_backbone
from finetune.errors import InputError
from finetune.exporting import save_model_folder
from finetune.freezing import parse_policy, plan_freeze
from finetune.heads import add_multi_stage_head

EIGHT, SMALL = Strides(8), Strides(stem="small")
LABELS = ("cat", "dog", "owl")
STEMS = (
    *("resnet18", "resnet50d", "resnet26t", "resnetblur18", "resnetaa50", "resnetrs50", "seresnet18", "resnest14d"),
    *("skresnet18", "res2net50_26w_4s", "ecaresnet26t", "resnext50_32x4d", "test_resnet"),
)
"""One of each kind of stem, pooling and block that timm's class ResNet has."""


def pixels(size: int, channels: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def last_map(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    model.double().eval()
    with torch.no_grad():
        made: torch.Tensor = model.forward_features(images)  # type: ignore[operator]
    return made


def logits(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        made: torch.Tensor = model.eval()(images.float())
    return made


def saved(folder: Path, model: nn.Module) -> str:
    generator = torch.Generator().manual_seed(1)
    for value in model.state_dict().values():
        if value.ndim == 1:  # as it is built, each branch ends in a zero
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    save_file(model.state_dict(), folder / "w.safetensors")
    return str(folder / "w.safetensors")


def given_to_layer1(model: nn.Module, size: int, channels: int = 3) -> int:
    """The side of the map that the first stage is given of an image of `size`."""
    heard: list[int] = []
    model.get_submodule("layer1").register_forward_pre_hook(lambda _, given: heard.append(given[0].shape[-1]))
    model.eval()(torch.zeros(1, channels, size, size, device=next(model.parameters()).device))
    return heard[0]


@pytest.mark.parametrize(("name", "stride"), [("resnet18", 8), ("resnet18", 16), ("resnet26", 8)])
def test_a_dilated_network_gives_at_every_so_many_positions_what_the_plain_one_gives(
    name: str, stride: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    weights = saved(tmp_path, timm.create_model(name))
    plain = load_backbone(name, weights, 3, image_size=64)
    dense = load_backbone(name, weights, 3, image_size=64, strides=Strides(stride))
    coarse, fine = (last_map(backbone.model, pixels(64)) for backbone in (plain, dense))
    assert fine.shape[-1] == 64 // stride
    difference = (fine[..., :: 32 // stride, :: 32 // stride] - coarse).abs().max() / coarse.abs().max()
    assert float(difference) < 1e-13


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        *((name, EIGHT) for name in ("resnet18", "resnet50d", "tf_efficientnet_lite0", "convnext_atto", "regnetx_002")),
        *((name, strides) for name in ("resnet18", "resnet50d") for strides in (SMALL, Strides(16, "small"))),
    ],
)
def test_stages_and_so_policies_are_those_of_the_plain_network(name: str, strides: Strides) -> None:
    with torch.device("meta"):
        plain, other = (load_backbone(name, "none", 3, strides=wanted) for wanted in (Strides(), strides))
    assert other.stages == plain.stages
    assert set(plain.stages.parameters.values()) >= {"stem", "stage1", "stage2", "stage3", "stage4", "head"}
    frozen, also = (
        plan_freeze(one, parse_policy("first-three"), tail_norm="batch").frozen_parameters for one in (plain, other)
    )
    assert frozen == also


def test_the_preprocessing_is_that_of_the_plain_network() -> None:
    for strides in (EIGHT, SMALL):
        with torch.device("meta"):
            built = load_backbone("resnet18", "none", 3, image_size=48, strides=strides)
        assert built.preprocessing == expected_preprocessing("resnet18", 48)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "densenet121", "vgg11", "hrnet_w18_small"])
def test_architectures_without_an_output_stride_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"model\.output_stride: {name} .* 8\. Leave model\.output_stride null"):
        load_backbone(name, "none", 3, strides=EIGHT)


def test_a_small_stem_is_for_resnets() -> None:
    with pytest.raises(InputError, match=r"model\.stem: tf_efficientnet_lite0 is a EfficientNet; .*standard"):
        load_backbone("tf_efficientnet_lite0", "embedded", 3, strides=SMALL)


@pytest.mark.parametrize("name", STEMS)
def test_a_small_stem_keeps_the_resolution_of_the_image(name: str) -> None:
    with torch.device("meta"):
        model = load_backbone(name, "none", 3, strides=SMALL).model
        plain = timm.create_model(name)
    assert (given_to_layer1(plain, 64), given_to_layer1(model, 64)) == (16, 64)
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    assert (first.kernel_size, first.stride) == ((3, 3), (1, 1))


@pytest.mark.slow
def test_every_resnet_of_timm_can_have_a_small_stem() -> None:
    seen = 0
    for name in timm.list_models(module="resnet"):
        with torch.device("meta"):
            if isinstance(timm.create_model(name), ResNet):
                assert given_to_layer1(load_backbone(name, "none", 3, strides=SMALL).model, 32) == 32, name
                seen += 1
    assert seen > 80


def test_a_small_stem_in_grey_takes_one_channel() -> None:
    backbone = load_backbone("resnet18", "none", 3, image_size=32, channels=1, strides=SMALL)
    assert given_to_layer1(backbone.model, 32, channels=1) == 32
    assert backbone.preprocessing.shape == (1, 32, 32)


def test_a_kernel_of_weights_becomes_what_it_gives_on_the_image_enlarged_four_times(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = timm.create_model("resnet18")
    made = load_backbone("resnet18", saved(tmp_path, plain), 3, image_size=32, strides=SMALL)
    images = pixels(12)
    enlarged = conv2d(interpolate(images, scale_factor=4), plain.conv1.weight.double(), stride=2, padding=3)
    with torch.inference_mode():
        ours = made.model.double().get_submodule("conv1")(images)
    assert torch.allclose(ours, enlarged[..., 1::2, 1::2], rtol=1e-5, atol=1e-5)  # summed in float32
    assert "made of the 7x7 one of the weights" in made.notes[0]
    theirs = plain.state_dict()
    assert all(
        torch.equal(value.float(), theirs[name].float())
        for name, value in made.model.float().state_dict().items()
        if not name.startswith(("conv1", "fc"))
    )


def test_a_deep_stem_keeps_its_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = timm.create_model("test_resnet")
    made = load_backbone("test_resnet", saved(tmp_path, plain), 3, image_size=32, strides=SMALL)
    assert torch.equal(made.model.get_submodule("conv1.0").weight, plain.conv1[0].weight)
    assert "made of" not in made.notes[0]


def test_a_kernel_without_weights_is_drawn_as_timm_draws() -> None:
    first, again = (load_backbone("resnet18", "none", 3, strides=SMALL, seed=5).model for _ in range(2))
    kernel = first.get_submodule("conv1").weight
    assert isinstance(kernel, torch.Tensor)
    assert float(kernel.detach().std()) == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.05)
    assert torch.equal(kernel, again.get_submodule("conv1").weight)


def test_weights_of_a_network_with_a_small_stem_are_taken_as_they_are(tmp_path: Path) -> None:
    given = load_backbone("resnet18", "none", 3, strides=SMALL, seed=5).model
    made = load_backbone("resnet18", saved(tmp_path, given), 3, strides=SMALL)
    assert torch.equal(made.model.get_submodule("conv1").weight, given.get_submodule("conv1").weight)
    assert made.fit is not None
    assert made.fit.loaded == made.fit.expected
    assert "made of" not in made.notes[0]


def test_a_user_is_told_where_dilated_filters_reach_past_the_map() -> None:
    with torch.device("meta"):
        tiny, larger, both = (
            load_backbone("resnet18", "none", 3, image_size=size, strides=strides).notes[-1]
            for size, strides in ((32, EIGHT), (64, EIGHT), (32, Strides(8, "small")))
        )
    assert "reach past the last map of images of 32 pixels" in tiny
    assert "reach past" not in larger + both


def test_of_filters_that_reach_past_the_map_only_the_middle_counts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = saved(tmp_path, timm.create_model("resnet18"))
    model = load_backbone("resnet18", weights, 3, image_size=32, strides=EIGHT).model
    before = last_map(model, pixels(32))
    for place in ("layer4.0.conv2", "layer4.1.conv1", "layer4.1.conv2"):
        kernel = model.get_submodule(place).weight
        with torch.no_grad():
            middle = kernel[:, :, 1, 1].clone()  # type: ignore[index]
            kernel.zero_()  # type: ignore[operator]
            kernel[:, :, 1, 1] = middle  # type: ignore[index]
    assert torch.equal(last_map(model, pixels(32)), before)


def reloaded(backbone: Backbone, folder: Path) -> Backbone:
    save_model_folder(backbone, LABELS, folder)
    return finetune.load_model(folder)


@pytest.mark.parametrize("is_plain", [True, False])
@pytest.mark.parametrize("strides", [EIGHT, SMALL, Strides(8, "small")])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_saved_folder_is_loaded_to_the_same_logits(
    channels: int, strides: Strides, is_plain: bool, tmp_path: Path
) -> None:
    name = "test_resnet" if channels == 1 else "resnet10t"
    backbone = load_backbone(name, "none", 3, image_size=32, channels=channels, strides=strides)
    made = backbone if is_plain else add_multi_stage_head(backbone, 3)
    again = reloaded(made, tmp_path)
    assert (again.strides, again.preprocessing, again.head) == (strides, made.preprocessing, made.head)
    assert again.stages == made.stages
    images = pixels(32, channels)
    assert torch.equal(logits(again.model, images), logits(made.model, images))


def test_plain_timm_loads_an_output_stride_strictly(tmp_path: Path) -> None:
    made = load_backbone("resnet18", "none", 3, image_size=64, strides=EIGHT)
    save_model_folder(made, LABELS, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_args"]["output_stride"] == 8
    plain = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert torch.equal(logits(plain, pixels(64)), logits(made.model, pixels(64)))


@pytest.mark.parametrize("name", ["resnet18", "resnet26d"])
def test_plain_timm_refuses_a_small_stem_also_where_every_shape_would_fit(name: str, tmp_path: Path) -> None:
    save_model_folder(load_backbone(name, "none", 3, image_size=64, strides=SMALL), LABELS, tmp_path)
    with pytest.raises(TypeError, match="'stem'"):
        timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
