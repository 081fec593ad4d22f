"""The maps of the four stages that a feature pyramid is built on: their sizes, and how they look."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor

from benchmarks.residual_guide.experiment import Experiment, Request
from benchmarks.residual_guide.page import compose_table
from benchmarks.results import Record
from finetune.backbones import load_backbone
from finetune.features import pyramid
from finetune.reporting.canvas import blank_figure, png

MODELS = ("resnet18", "resnet50", "tf_efficientnet_lite0")
_PICTURED = MODELS[-1]
_SIZE = (320, 224)
"""Width and height: no square, since detectors are given none."""


def measure_maps(names: Sequence[str] = MODELS) -> list[Record]:
    """A row for each network and stage: channels and size of its map, and the stride that follows."""
    width, height = _SIZE
    rows: list[Record] = []
    for name in names:
        made = pyramid(timm.create_model(name)).eval()
        with torch.no_grad():
            maps = made.maps(torch.zeros(1, 3, height, width))
        for stage, values in enumerate(maps.values(), start=1):
            _, channels, lines, columns = values.shape
            rows.append({"model": name, "stage": stage, "channels": channels, "size": [lines, columns]})
    return rows


def compose(rows: Sequence[Record]) -> str:
    """A line a network: channels and size of each map."""
    lines = []
    for name in dict.fromkeys(row["model"] for row in rows):
        found = [row for row in rows if row["model"] == name]
        lines.append([name, *(f"{row['channels']} x {row['size'][0]} x {row['size'][1]}" for row in found)])
    strides = (f"stage{stage}, stride {2 ** (stage + 1)}" for stage in range(1, 5))
    return compose_table([f"{_SIZE[1]} x {_SIZE[0]} pixels", *strides], lines)


def draw(out: Path) -> None:
    """A photograph, and the mean of the channels' sizes of each map of a network with ImageNet weights."""
    picture = Image.fromarray(load_sample_images().images[0]).resize(_SIZE, Image.Resampling.LANCZOS)
    backbone = load_backbone(_PICTURED, "embedded", 2)
    mean, std = (
        torch.tensor(held)[:, None, None] for held in (backbone.preprocessing.mean, backbone.preprocessing.std)
    )
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
    with torch.no_grad():
        maps = pyramid(backbone).eval().maps(((pixels - mean) / std)[None])
    figure = blank_figure(11, 1.8)
    panels = figure.subplots(1, 5)
    panels[0].imshow(np.array(picture))
    for axes, values in zip(panels[1:], maps.values(), strict=True):
        axes.imshow(_strength(values).numpy(), cmap="viridis")
    for axes, title in zip(panels, ("photograph", *(f"stage{number}" for number in range(1, 5))), strict=True):
        axes.set_title(title, fontsize=9)
        axes.axis("off")
    out.write_bytes(png(figure))


def _strength(values: Tensor) -> Tensor:
    """Mean over the channels of a map (1, channels, height, width) of how far each lies from its own mean."""
    centred: Tensor = values - values.mean((2, 3), keepdim=True)
    return centred.abs().mean(1)[0]


def _measure(request: Request) -> list[Record]:
    draw(request.figures / "stage-maps.png")
    return measure_maps(MODELS[:1] if request.is_brief else MODELS)


MAPS = Experiment(_measure, compose)
