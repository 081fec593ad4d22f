"""Gradients of depthwise weights in tiles are the gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from finetune.training.depthwise import FastDepthwise, _Convolution


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@settings(deadline=None)
@given(
    images=st.integers(1, 3),
    channels=st.integers(2, 5),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 2)),
    seed=st.integers(0, 1000),
)
def test_tiles_give_the_gradients_of_torch(
    images: int, channels: int, size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], seed: int
) -> None:
    seen = drawn(images, channels, *size, seed=seed).requires_grad_()
    weight = drawn(channels, 1, 5, 5, seed=seed + 1).requires_grad_()
    plain = functional.conv2d(seen, weight, None, stride, padding, 1, channels)
    tiled = _Convolution.apply(seen, weight, stride, padding, channels)
    torch.testing.assert_close(tiled, plain, rtol=0, atol=0)
    wanted = drawn(*plain.shape, seed=seed + 2)
    for found, known in zip(
        torch.autograd.grad(tiled, (seen, weight), wanted),
        torch.autograd.grad(plain, (seen, weight), wanted),
        strict=True,
    ):
        torch.testing.assert_close(found, known, rtol=1e-12, atol=1e-12)


def layer(kernel: int, *, groups: int = 4, bias: bool = False) -> torch.nn.Conv2d:
    return torch.nn.Conv2d(4, 4, kernel, padding=kernel // 2, groups=groups, bias=bias)


@pytest.mark.parametrize(
    ("convolution", "images", "is_tiled"),
    [
        (layer(5), 8, True),
        (layer(5, bias=True), 8, True),
        (layer(3), 8, False),
        (layer(5, groups=1), 8, False),
        (layer(5), 17, False),
    ],
    ids=["depthwise", "with a bias", "small kernel", "not depthwise", "many images"],
)
def test_only_what_is_slow_goes_in_tiles(convolution: torch.nn.Conv2d, images: int, is_tiled: bool) -> None:
    seen = drawn(images, 4, 7, 7, dtype=torch.float32)
    with FastDepthwise():
        made = convolution(seen)
    names = str([made.grad_fn, *(function for function, _ in made.grad_fn.next_functions)])
    assert ("_ConvolutionBackward" in names) == is_tiled
    torch.testing.assert_close(made, convolution(seen), rtol=1e-6, atol=1e-6)


def test_nothing_is_remembered_without_gradients() -> None:
    with FastDepthwise(), torch.no_grad():
        made = layer(5)(drawn(2, 4, 7, 7, dtype=torch.float32))
    assert made.grad_fn is None
