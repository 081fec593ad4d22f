"""Plain and residual networks of any depth that differ in their shortcuts alone (He et al. 2015, section 3.3)."""

import torch
from torch import Tensor, nn

WIDTH = 8
"""Channels of every convolution: few, so that 56 layers train in seconds."""


class Block(nn.Module):
    """Two 3x3 convolutions, each with BatchNorm: ReLU(F(x) + x), or ReLU(F(x)) without a shortcut."""

    def __init__(self, has_shortcut: bool) -> None:
        super().__init__()
        self.has_shortcut = has_shortcut
        self.branch = nn.Sequential(*_convolution(WIDTH), nn.ReLU(), *_convolution(WIDTH))

    def forward(self, images: Tensor) -> Tensor:
        """(batch, WIDTH, height, width), as it came in."""
        made: Tensor = self.branch(images)
        return torch.relu(made + images if self.has_shortcut else made)


def build_net(layers: int, *, has_shortcuts: bool, seed: int) -> nn.Sequential:
    """A network of `layers` layers with weights, an even number, for grey images and ten classes.

    Kaiming initialisation; both kinds hold the same parameters and, of one seed, the same values.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        blocks = [Block(has_shortcuts) for _ in range((layers - 2) // 2)]
        return nn.Sequential(
            *_convolution(1), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, 10)
        )


def convolutions(net: nn.Module) -> list[nn.Conv2d]:
    """The convolutions of a network, from the image on."""
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


def _convolution(channels: int) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(channels, WIDTH, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution, nn.BatchNorm2d(WIDTH)
