"""From decoded pixels to a network's input: the evaluation pipeline and the seeded training pipelines.

The only module that touches albumentations.
"""

import hashlib
import json
import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL import __version__ as pillow_version

Pixels = NDArray[np.uint8]
Preset = Literal["none", "light", "standard"]

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_SHRINK_TO = 2
"""Training pixels are shrunk, antialiased, to this many times the network's size before any crop."""


@dataclass(frozen=True)
class Preprocessing:
    """How a backbone wants its input; the values of timm's `pretrained_cfg`."""

    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    crop_pct: float = 0.875
    crop_mode: str = "center"

    @property
    def filter(self) -> Image.Resampling:
        """Pillow's filter of that name; an unknown or random interpolation counts as bilinear."""
        return _FILTERS.get(self.interpolation, Image.Resampling.BILINEAR)


@dataclass(frozen=True, eq=False)
class Pipeline:
    """Turns uint8 pixels (height, width, 3) into float32 (3, height, width), normalised.

    The output depends on pixels and seed alone: on no worker, no order, no global state. One pipeline must
    not be called by two threads at once.
    """

    description: str
    """All that shapes the output, as JSON with sorted keys: part of the key of stored features."""
    geometry: Callable[[Pixels], Pixels]
    compose: Any = field(repr=False)

    def __call__(self, pixels: Pixels, seed: int) -> NDArray[np.float32]:
        # One stream for all transforms: `set_random_seed` would give each the same one.
        self.compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        image = self.compose(image=self.geometry(pixels))["image"]
        return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)  # (3, height, width)


def build_evaluation_pipeline(preprocessing: Preprocessing) -> Pipeline:
    """The pixels that timm's own evaluation transform would give; the seed has no effect."""
    return _assemble("evaluation", preprocessing, partial(fit_pixels, preprocessing=preprocessing), [])


def build_training_pipeline(preset: Preset, preprocessing: Preprocessing) -> Pipeline:
    """A seeded augmentation: `none` (evaluation geometry), `light` (crop, flip), `standard` (and colour)."""
    if preset == "none":
        return build_evaluation_pipeline(preprocessing)
    albumentations = _import_albumentations()
    size = (preprocessing.height, preprocessing.width)
    scale = {"light": (0.7, 1.0), "standard": (0.4, 1.0)}[preset]
    transforms = [
        albumentations.RandomResizedCrop(size=size, scale=scale, ratio=(3 / 4, 4 / 3), p=1.0),
        albumentations.HorizontalFlip(p=0.5),
    ]
    if preset == "standard":
        transforms.append(
            albumentations.ColorJitter(
                brightness=(0.8, 1.2), contrast=(0.8, 1.2), saturation=(0.8, 1.2), hue=(-0.02, 0.02), p=0.8
            )
        )
    geometry = partial(shrink_pixels, shorter_side=_SHRINK_TO * max(size), resample=preprocessing.filter)
    return _assemble(preset, preprocessing, geometry, transforms)


def sample_seed(seed: int, view: int, sample: str) -> int:
    """A seed below 2**32 for one view of one sample; the same everywhere, for ever."""
    digest = hashlib.sha256(json.dumps([seed, view, sample]).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def shrink_pixels(pixels: Pixels, shorter_side: int, resample: Image.Resampling) -> Pixels:
    """Shrink until the shorter side is `shorter_side`; smaller pictures stay as they are."""
    height, width = pixels.shape[:2]
    if min(height, width) <= shorter_side:
        return pixels
    ratio = shorter_side / min(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(Image.fromarray(pixels).resize(size, resample), dtype=np.uint8)


def fit_pixels(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    """Resize and crop as timm's evaluation transform does, to the byte (timm/data/transforms_factory.py)."""
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
    image = Image.fromarray(pixels)
    if size != (height, width):
        image = image.resize((size[1], size[0]), preprocessing.filter)
    return _crop_center(np.asarray(image, dtype=np.uint8), target, fill)


def _crop_center(pixels: Pixels, target: Sequence[int], fill: tuple[int, ...]) -> Pixels:
    """torchvision's CenterCrop, rounding included; what is too small is padded with `fill`."""
    missing = [max(0, goal - side) for goal, side in zip(target, pixels.shape, strict=False)]
    if any(missing):
        before = [lack // 2 for lack in missing]
        padded = np.empty((pixels.shape[0] + missing[0], pixels.shape[1] + missing[1], 3), dtype=np.uint8)
        padded[:] = fill
        padded[before[0] : before[0] + pixels.shape[0], before[1] : before[1] + pixels.shape[1]] = pixels
        pixels = padded
    top = round((pixels.shape[0] - target[0]) / 2.0)
    left = round((pixels.shape[1] - target[1]) / 2.0)
    return pixels[top : top + target[0], left : left + target[1]]


def _assemble(
    name: str, preprocessing: Preprocessing, geometry: Callable[[Pixels], Pixels], transforms: list[Any]
) -> Pipeline:
    albumentations = _import_albumentations()
    normalise = albumentations.Normalize(mean=preprocessing.mean, std=preprocessing.std, max_pixel_value=255.0)
    compose = albumentations.Compose([*transforms, normalise])
    return Pipeline(_describe(name, preprocessing, compose), geometry, compose)


def _describe(name: str, preprocessing: Preprocessing, compose: Any) -> str:
    import cv2

    facts = {
        "name": name,
        "preprocessing": asdict(preprocessing),
        "shrink_to": _SHRINK_TO,
        "transforms": [
            {"name": type(one).__name__, **one.get_base_init_args(), **one.get_transform_init_args()}
            for one in compose.transforms
        ],
        "versions": {
            "albumentations": _import_albumentations().__version__,
            "opencv": cv2.__version__,
            "pillow": pillow_version,
        },
    }
    return json.dumps(facts, sort_keys=True, default=repr)


def _import_albumentations() -> Any:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks the network at import otherwise
    import albumentations  # type: ignore[import-untyped]

    return albumentations
