"""timm's residual networks against a short network of our own, written from the paper."""

import pytest
import timm
import torch
from torch import nn

from tests.residual_reference import residual_network

PARAMETERS = {"resnet18": 11_689_512, "resnet50": 25_557_032}
NAMES = tuple(PARAMETERS)


def drawn(name: str) -> nn.Module:
    """timm's network in float64 with values of its own everywhere; as it is built, each branch ends in a zero."""
    model = timm.create_model(name).double().eval()
    generator = torch.Generator().manual_seed(1)
    for value in model.state_dict().values():
        if value.ndim == 1:  # of a norm layer, or a bias
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return model


def with_weights_of(model: nn.Module, reference: nn.Module) -> nn.Module:
    """The reference with the same values, one after the other; names are its own."""
    values = zip(reference.state_dict(), model.state_dict().values(), strict=True)
    reference.double().load_state_dict(dict(values))
    return reference.eval()


def logits(model: nn.Module) -> torch.Tensor:
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.inference_mode():
        made: torch.Tensor = model(images)
    return made


def shapes(model: nn.Module) -> list[torch.Size]:
    return [parameter.shape for parameter in model.parameters()]


@pytest.mark.parametrize("name", NAMES)
def test_the_papers_network_has_timms_parameters_one_by_one(name: str) -> None:
    with torch.device("meta"):
        model, reference = timm.create_model(name), residual_network(name)
    assert shapes(reference) == shapes(model)
    assert sum(parameter.numel() for parameter in reference.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", NAMES)
def test_with_the_same_weights_it_gives_the_same_logits(name: str) -> None:
    model = drawn(name)
    ours, theirs = logits(with_weights_of(model, residual_network(name))), logits(model)
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-12


def test_the_original_stride_has_the_same_shapes_and_other_logits_so_timm_has_the_later_one() -> None:
    model, original = drawn("resnet50"), residual_network("resnet50", is_original=True)
    assert shapes(original) == shapes(model)
    ours, theirs = logits(with_weights_of(model, original)), logits(model)
    assert float((ours - theirs).abs().max() / theirs.abs().max()) > 0.01


@pytest.mark.parametrize(("name", "convolutions"), [("resnet18", 17), ("resnet50", 49)])
def test_the_main_path_has_the_layers_of_its_name_with_one_linear_layer(name: str, convolutions: int) -> None:
    with torch.device("meta"):
        modules = dict(timm.create_model(name).named_modules())
    path = [module for place, module in modules.items() if "downsample" not in place]
    assert sum(isinstance(module, nn.Conv2d) for module in path) == convolutions
    assert sum(isinstance(module, nn.Linear) for module in path) == 1
    assert convolutions + 1 == int(name.removeprefix("resnet"))


@pytest.mark.parametrize(("name", "blocks"), [("resnet18", 5), ("resnet50", 12)])
def test_with_its_branch_at_zero_a_block_gives_relu_of_its_input(name: str, blocks: int) -> None:
    model = drawn(name)
    same = [block for stage in range(1, 5) for block in getattr(model, f"layer{stage}") if block.downsample is None]
    assert len(same) == blocks
    for block in same:
        last = block.bn3 if hasattr(block, "bn3") else block.bn2
        inputs = next(block.parameters()).shape[1]
        x = torch.randn(2, inputs, 5, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        with torch.inference_mode():
            assert not torch.equal(block(x), x.relu())
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            assert torch.equal(block(x), x.relu())
