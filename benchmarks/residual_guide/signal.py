"""How a signal fares in 50 layers: Kaiming initialisation against a fixed standard deviation of 0.01."""

from collections.abc import Sequence
from pathlib import Path
from statistics import geometric_mean

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from benchmarks.residual_guide.experiment import Experiment, Request
from benchmarks.residual_guide.page import compose_table
from benchmarks.results import Record
from finetune.reporting.canvas import PALETTE, blank_axes, calm, png

LAYERS, SEEDS = 50, (0, 1, 2, 3, 4)
_WIDTH, _SIDE = 128, 16
_TOLD = (1, 10, 25, 50)
_STARTS: dict[str, float | None] = {"Kaiming, std sqrt(2 / fan-in)": None, "std 0.01": 0.01}


def measure_signal(std: float | None, seed: int, layers: int = LAYERS) -> list[float]:
    """Mean square after each ReLU of a plain stack of 3x3 convolutions, of that of a photograph; None: Kaiming.

    Float64: at 0.01 the values leave the range of float32. The image goes on beyond its edges, since zeros around
    it would take a little of the signal in each layer.
    """
    signal = _photograph()
    start, found = signal.square().mean(), list[float]()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for _ in range(layers):
            convolution = nn.Conv2d(
                signal.shape[1], _WIDTH, 3, padding=1, padding_mode="circular", bias=False, dtype=torch.float64
            )
            if std is None:
                nn.init.kaiming_normal_(convolution.weight, mode="fan_in", nonlinearity="relu")
            else:
                nn.init.normal_(convolution.weight, std=std)
            signal = torch.relu(convolution(signal))
            found.append(float(signal.square().mean() / start))
    return found


def _photograph() -> Tensor:
    """scikit-learn's temple, (1, 3, 16, 16), about 0."""
    picture = Image.fromarray(load_sample_images().images[0]).resize((_SIDE, _SIDE))
    pixels = torch.from_numpy(np.array(picture)).double().permute(2, 0, 1)[None] / 255
    return pixels - pixels.mean()


def compose(rows: Sequence[Record]) -> str:
    """What is left of the mean square behind some layers: geometric means over the seeds."""
    lines = []
    for start in _STARTS:
        found = [row["mean_squares"] for row in rows if row["start"] == start]
        cells = [f"{geometric_mean(values[layer - 1] for values in found):.2g}" for layer in _TOLD]
        lines.append([start, *cells])
    return compose_table(["initialisation", *(f"layer {layer}" for layer in _TOLD)], lines)


def draw(rows: Sequence[Record], out: Path) -> None:
    """A line for each initialisation and seed."""
    figure, axes = blank_axes(5.2, 3.4)
    for colour, start in zip(PALETTE, _STARTS, strict=False):
        for number, row in enumerate(row for row in rows if row["start"] == start):
            values = row["mean_squares"]
            label = start if number == 0 else None
            axes.plot(range(1, len(values) + 1), values, color=colour, linewidth=1, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("layer", fontsize=9)
    axes.set_ylabel("mean square, of the image's", fontsize=9)
    calm(axes)
    axes.legend(frameon=False, fontsize=8)
    out.write_bytes(png(figure))


def _measure(request: Request) -> list[Record]:
    rows: list[Record] = [
        {"start": start, "seed": seed, "mean_squares": measure_signal(std, seed)}
        for start, std in _STARTS.items()
        for seed in SEEDS[: 1 if request.is_brief else None]
    ]
    draw(rows, request.figures / "signal.png")
    return rows


SIGNAL = Experiment(_measure, compose)
