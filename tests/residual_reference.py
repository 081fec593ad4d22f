"""Residual networks from the equations and table 1 of He et al. (2015, arXiv:1512.03385), for comparison in tests.

The paper's bottleneck steps by two in its first 1x1 convolution; torchvision and timm do so in the 3x3 one (`v1.5`).
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4
"""How many times wider the last convolution of a bottleneck is than the others."""


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the resolution but for its stride, without bias, and the norm behind it."""
    return [nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs)]


class Residual(nn.Module):
    """y = ReLU(F(x) + x), equation 1; where shapes differ, F(x) + W x with a 1x1 convolution W, equation 2."""

    def __init__(self, branch: Sequence[nn.Module], inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)
        is_same = stride == 1 and inputs == outputs
        self.shortcut = nn.Sequential(*([] if is_same else convolution(inputs, outputs, 1, stride)))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.branch(x) + self.shortcut(x))
        return y


def basic_block(inputs: int, width: int, stride: int) -> Residual:
    """Two 3x3 convolutions (figure 5, left)."""
    branch = [*convolution(inputs, width, 3, stride), nn.ReLU(), *convolution(width, width, 3)]
    return Residual(branch, inputs, width, stride)


def bottleneck(inputs: int, width: int, stride: int, *, is_original: bool) -> Residual:
    """1x1, 3x3, 1x1 (figure 5, right)."""
    first, second = (stride, 1) if is_original else (1, stride)
    branch = [
        *(*convolution(inputs, width, 1, first), nn.ReLU()),
        *(*convolution(width, width, 3, second), nn.ReLU()),
        *convolution(width, EXPANSION * width, 1),
    ]
    return Residual(branch, inputs, EXPANSION * width, stride)


def residual_network(name: str, classes: int = 1000, *, is_original: bool = False) -> nn.Sequential:
    """`resnet18` of basic blocks, or `resnet50` of bottlenecks; (batch, 3, height, width) to (batch, classes)."""
    is_deep = name == "resnet50"
    layers: list[nn.Module] = [*convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    outputs = [EXPANSION * width if is_deep else width for width in WIDTHS]
    for stage, (inputs, out) in enumerate(pairwise((64, *outputs))):
        for block in range(DEPTHS[name][stage]):
            stride = 2 if stage and not block else 1
            given, width = out if block else inputs, WIDTHS[stage]
            layers.append(
                bottleneck(given, width, stride, is_original=is_original)
                if is_deep
                else basic_block(given, width, stride)
            )
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(outputs[-1], classes))
