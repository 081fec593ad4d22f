"""Random weights: Kaiming normal, layer by layer, and what that does to the signal through many layers."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kurtosis
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from torch.nn import functional

from finetune.backbones import load_backbone

DEPTH, CHANNELS = 50, 512


@pytest.mark.parametrize(("name", "count"), [("resnet18", 20), ("resnet50", 53)])
def test_each_convolution_is_normal_with_the_deviation_of_kaiming(name: str, count: int) -> None:
    """The deviation is sqrt(2/n), n the area of the kernel times the *output* channels (fan-out), as timm has it.

    He et al. 2015, Delving Deep into Rectifiers, derive two conditions: eq. 10, of the forward pass, where n counts
    input channels (fan-in), and eq. 14, of the backward pass, where it counts output channels. Either will do, says the
    paper; "sqrt(2/n)" alone leaves it open. The deviation of m normal numbers is known to 1 / sqrt(2m) of itself,
    their kurtosis to sqrt(24 / m): five of these are allowed, 5.5 % for the smallest convolution.
    """
    model = load_backbone(name, "none", 10).model
    convolutions = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)}
    assert len(convolutions) == count
    is_by_output = []
    for place, layer in convolutions.items():
        drawn = layer.weight.detach().double().flatten().numpy()
        area = math.prod(layer.kernel_size)
        expected, by_input = (math.sqrt(2 / (area * n)) for n in (layer.out_channels, layer.in_channels))
        assert abs(drawn.std() / expected - 1) < 5 / math.sqrt(2 * len(drawn)), place
        assert abs(drawn.mean()) < 5 * expected / math.sqrt(len(drawn)), place
        assert abs(kurtosis(drawn)) < 5 * math.sqrt(24 / len(drawn)), place
        is_by_output.append(abs(drawn.std() / by_input - 1) > 0.25)
    assert any(is_by_output), "no layer tells fan-out from fan-in"


def picture() -> Tensor:
    """A photograph as 4 x 4 pixels in `CHANNELS` channels, random mixtures of its patches."""
    pixels = load_sample_image("china.jpg")[:424, :424].astype(np.float32) / 255
    small = functional.adaptive_avg_pool2d(torch.from_numpy(pixels).permute(2, 0, 1)[None], 4)
    mix = torch.randn(CHANNELS, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    return functional.conv2d(around(small - small.mean()), mix)


def around(values: Tensor) -> Tensor:
    """Padded with what lies on the other side: no position sees fewer inputs than n says."""
    return functional.pad(values, (1, 1, 1, 1), mode="circular")


def mean_squares(deviation: float) -> list[float]:
    """Mean square of the values before each ReLU of a plain stack of convolutions drawn with `deviation`."""
    generator, values = torch.Generator().manual_seed(1), picture()
    seen = [float(values.square().mean())]
    for _ in range(DEPTH):
        weight = deviation * torch.randn(CHANNELS, CHANNELS, 3, 3, generator=generator)
        values = functional.conv2d(around(values.relu()), weight)
        seen.append(float(values.square().mean()))
    return seen


def test_the_signal_keeps_its_mean_square_through_fifty_layers_and_vanishes_with_a_deviation_of_a_hundredth() -> None:
    """With sqrt(2/n) the mean square is kept in expectation; of one draw its logarithm walks at random.

    The squares of `CHANNELS` rectified normals vary by 5 / `CHANNELS` of their mean, squared, and so much is added to
    the variance of the logarithm in each layer, where all positions move together: 0.49 after fifty, and a drift of
    half that downwards. Three deviations of that walk are allowed: a factor of ten. With 0.01 each layer keeps
    n / 2 * 0.01 ** 2 = 0.23 of it, and after fifty 1e-32 is left.
    """
    kept = mean_squares(math.sqrt(2 / (9 * CHANNELS)))
    variance = 5 * DEPTH / CHANNELS
    assert abs(math.log(kept[-1] / kept[0]) + variance / 2) < 3 * math.sqrt(variance)
    lost = mean_squares(0.01)
    assert 1e-34 < lost[-1] / lost[0] < 1e-30
