"""Gradients of large depthwise kernels, of small batches on a CPU, by the routine that is fast for small kernels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional, grad
from torch.overrides import TorchFunctionMode

_TILE = 3
"""Width of the kernels whose gradient oneDNN has a fast routine for."""
_MOST_IMAGES = 16
"""In larger batches the general routine is as fast (benchmarks/depthwise.py)."""


class FastDepthwise(TorchFunctionMode):
    """Inside, 5 x 5 depthwise convolutions of small batches on a CPU find the gradient of their weights in tiles.

    A gradient of 5 x 5 weights is four of 3 x 3, each with the input moved by two; the sums are the same.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `func`, or for such a convolution the same with other gradients."""
        if func is functional.conv2d and not kwargs and _is_wanted(*args):
            images, weight, bias, stride, padding, _, groups = args
            made = _Convolution.apply(images, weight, stride, padding, groups)
            return made if bias is None else made + bias[:, None, None]
        return func(*args, **(kwargs or {}))


def _is_wanted(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> bool:
    return (
        groups == len(weight) == images.shape[1] > 1
        and tuple(weight.shape[2:]) == (2 * _TILE - 1, 2 * _TILE - 1)
        and isinstance(padding, tuple)
        and tuple(dilation) == (1, 1)
        and len(images) <= _MOST_IMAGES
        and images.dtype == weight.dtype == torch.float32
        and images.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and torch.is_grad_enabled()
        and weight.requires_grad
    )


class _Convolution(torch.autograd.Function):
    """A depthwise convolution whose kernel is 2 t - 1 wide, t being the width of a tile."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int], groups: int
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.how = (stride, padding, groups)
        return functional.conv2d(images, weight, None, stride, padding, 1, groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        (images, weight), (stride, padding, groups), (gradient,) = ctx.saved_tensors, ctx.how, gradients
        of_images = of_weight = None
        if ctx.needs_input_grad[0]:
            of_images = grad.conv2d_input(images.shape, weight, gradient, stride, padding, 1, groups)
        if ctx.needs_input_grad[1]:
            of_weight = _weight_gradient(images, weight, gradient, stride, padding)
        return of_images, of_weight, None, None, None


def _weight_gradient(
    images: Tensor, weight: Tensor, gradient: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """(channels, 1, 2 t - 1, 2 t - 1), in four tiles that overlap by one."""
    (down, across), (above, beside) = stride, padding
    padded = functional.pad(images, (beside, beside, above, above))  # (batch, channels, height, width)
    height, width = (step * (size - 1) + _TILE for step, size in zip((down, across), gradient.shape[2:], strict=True))
    whole, shape = torch.empty_like(weight), (len(weight), 1, _TILE, _TILE)
    for top in (0, _TILE - 1):
        for left in (0, _TILE - 1):
            seen = padded[:, :, top : top + height, left : left + width].contiguous(memory_format=torch.channels_last)
            tile = grad.conv2d_weight(seen, shape, gradient, stride, 0, 1, len(weight))
            whole[:, :, top : top + _TILE, left : left + _TILE] = tile
    return whole
