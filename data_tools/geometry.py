"""The first step of every pipeline: from decoded pixels to those that a network or a page needs, without chance.

What comes out depends on the pixels alone, so it can be kept (data_tools/pixels.py).
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
from PIL import Image

from data_tools.decoding import DECODING_RULES, decoder_versions
from data_tools.pixels import Shelf
from data_tools.presets import NONE, PRESETS
from data_tools.scaling import Pixels

THUMBNAIL_SIDE = 220
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_GEOMETRY_RULES = 1
"""Part of every key; rises with any change of this module that changes a pixel."""
_LEFT_ALONE = 1.25
"""Up to this many times what they would be shrunk to, pixels stay: the resize costs more than it saves.

Before any crop training pixels are shrunk, antialiased, to so many times the network's size as their preset says.
The smallest crop of `standard` holds 0.4 of the area: 1 / sqrt(0.4) = 1.58 times the size keeps every pixel that a
square crop needs, 1 / sqrt(0.4 * 3 / 4) = 1.83 that the flattest one needs (`light`, 0.7: 1.2 and 1.4). The crop
itself is bilinear without antialiasing: less blurs, more aliases. Differences between neighbouring rows of 144 crops
at 224 pixels, from 10 brain scans and 2 photographs of 700 pixels and more, against those of antialiased crops
from the full image: `standard` 0.92 for 1.4 times the size, 0.96 for 1.6, 0.98 for 1.8, 1.01 for 2, 1.07 for 3;
`light` 0.95 for 1.4, 0.98 for 1.6, 1.01 for 1.8. Twice the size takes 1.23 and 1.56 times the bytes.
"""
_REDUCING_GAP = 1.5
"""Pillow averages whole blocks first, down to this many times the wanted size: faster, and as sharp (0.982, 0.985)."""
_THUMBNAIL_GAP = 1.0
"""Whole blocks as far as they go: half the time, and a thumbnail is only looked at."""


@dataclass(frozen=True)
class Preprocessing:
    """How a backbone wants its input; the values of timm's `pretrained_cfg`."""

    height: int
    width: int
    mean: tuple[float, ...]
    """Of three channels, or of one: then pictures are seen in grey."""
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    crop_pct: float = 0.875
    crop_mode: str = "center"

    @property
    def channels(self) -> int:
        """Channels of the network's input."""
        return len(self.mean)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one input: (channels, height, width)."""
        return (self.channels, self.height, self.width)

    @property
    def filter(self) -> Image.Resampling:
        """Pillow's filter of that name; an unknown or random interpolation counts as bilinear."""
        return _FILTERS.get(self.interpolation, Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class Geometry(Shelf):
    """A function of pixels (height, width, channels), and the shelf on which its results are kept.

    One channel is enough for grey pixels, and takes a third of the work of the three that it stands for.
    """

    function: Callable[[Pixels], Pixels] = field(repr=False, compare=False)
    leaves: int = 0
    """Pixels whose shorter side is not longer come out as they are."""

    def __call__(self, pixels: Pixels) -> Pixels:
        return self.function(pixels)


def evaluation_geometry(preprocessing: Preprocessing) -> Geometry:
    """Resize and crop as timm's evaluation transform does."""
    height, width, mode = preprocessing.height, preprocessing.width, preprocessing.crop_mode
    facts = {
        "name": "evaluation",
        "height": height,
        "width": width,
        "crop_pct": preprocessing.crop_pct,
        "crop_mode": mode,
        "fill": preprocessing.mean if mode == "border" else None,
        "filter": preprocessing.filter.name,
    }
    name = f"{width} x {height} pixels, as evaluation sees them"
    return _geometry(name, facts, partial(fit_pixels, preprocessing=preprocessing))


def training_geometry(preset: str, preprocessing: Preprocessing) -> Geometry:
    """What the random crops of a preset are cut from; `none` has the evaluation geometry."""
    if preset == NONE:
        return evaluation_geometry(preprocessing)
    side = round(PRESETS[preset].shrink_to * max(preprocessing.height, preprocessing.width))
    leaves = int(_LEFT_ALONE * side)
    facts = {
        "name": "training",
        "shorter_side": side,
        "leaves": leaves,
        "reducing_gap": _REDUCING_GAP,
        "filter": preprocessing.filter.name,
    }
    function = partial(shrink_pixels, shorter_side=side, leaves=leaves, resample=preprocessing.filter)
    return _geometry(f"shorter side {side} pixels, for random crops", facts, function, leaves)


def thumbnail_geometry() -> Geometry:
    """The small picture of a report's page."""
    facts = {"name": "thumbnail", "side": THUMBNAIL_SIDE, "reducing_gap": _THUMBNAIL_GAP}
    return _geometry(f"at most {THUMBNAIL_SIDE} pixels, for reports", facts, _make_thumbnail)


@cache
def whole_geometry() -> Geometry:
    """The pixels as they were decoded."""
    return _geometry("whole images, as decoded", {"name": "whole"}, _as_they_are)


def _geometry(name: str, facts: dict[str, Any], function: Callable[[Pixels], Pixels], leaves: int = 0) -> Geometry:
    rules = {"decoding": DECODING_RULES, "geometry": _GEOMETRY_RULES}
    told = json.dumps({**facts, "rules": rules, "versions": decoder_versions()}, sort_keys=True)
    return Geometry(name, told, function, leaves)


def _as_they_are(pixels: Pixels) -> Pixels:
    return pixels


def _make_thumbnail(pixels: Pixels) -> Pixels:
    image = _as_image(pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), reducing_gap=_THUMBNAIL_GAP)
    return _as_pixels(image)


def shrink_pixels(pixels: Pixels, shorter_side: int, leaves: int, resample: Image.Resampling) -> Pixels:
    """Shrink until the shorter side is `shorter_side`; pictures with one of at most `leaves` stay as they are."""
    height, width = pixels.shape[:2]
    if min(height, width) <= leaves:
        return pixels
    ratio = shorter_side / min(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return _as_pixels(_as_image(pixels).resize(size, resample, reducing_gap=_REDUCING_GAP))


def _as_image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _as_pixels(image: Image.Image) -> Pixels:
    """(height, width, channels), of a grey image one channel."""
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], -1)


def fit_pixels(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    """Resize and crop as timm's evaluation transform does, to the byte (timm/data/transforms_factory.py).

    So the image is decoded at full scale here too: where JPEG's own reduced scale is at hand (Pillow's `draft`), it
    is a box filter over blocks and gives other bytes.
    """
    height, width = pixels.shape[:2]
    target = (preprocessing.height, preprocessing.width)
    goal = [math.floor(side / preprocessing.crop_pct) for side in target]
    fill: tuple[int, ...] = (0, 0, 0)
    if preprocessing.crop_mode == "squash":
        size = (goal[0], goal[1])
    elif preprocessing.crop_mode == "border":
        fill = tuple(round(255 * value) for value in preprocessing.mean)
        ratio = max(height / goal[0], width / goal[1])
        size = (round(height / ratio), round(width / ratio))
    elif goal[0] == goal[1]:
        long = int(goal[0] * max(height, width) / min(height, width))
        size = (long, goal[0]) if width <= height else (goal[0], long)
    else:
        ratio = min(height / goal[0], width / goal[1])
        size = (round(height / ratio), round(width / ratio))
    size = (max(1, size[0]), max(1, size[1]))
    image = _as_image(pixels)
    if size != (height, width):
        image = image.resize((size[1], size[0]), preprocessing.filter)
    return _crop_center(_as_pixels(image), target, fill)


def _crop_center(pixels: Pixels, target: Sequence[int], fill: tuple[int, ...]) -> Pixels:
    """torchvision's CenterCrop, rounding included; what is too small is padded with `fill`."""
    missing = [max(0, goal - side) for goal, side in zip(target, pixels.shape, strict=False)]
    if any(missing):
        before = [lack // 2 for lack in missing]
        padded = np.empty((pixels.shape[0] + missing[0], pixels.shape[1] + missing[1], 3), dtype=np.uint8)
        padded[:] = fill  # has a colour of its own, so grey pixels become three channels here
        padded[before[0] : before[0] + pixels.shape[0], before[1] : before[1] + pixels.shape[1]] = pixels
        pixels = padded
    top = round((pixels.shape[0] - target[0]) / 2.0)
    left = round((pixels.shape[1] - target[1]) / 2.0)
    return pixels[top : top + target[0], left : left + target[1]]
