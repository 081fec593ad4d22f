"""From decoded pixels to a network's input: the evaluation pipeline and the seeded training pipelines.

The only module that touches albumentations.
"""

import copy
import hashlib
import json
import os
import random
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_tools.decoding import Pixels
from data_tools.geometry import Geometry, Preprocessing, Preset, evaluation_geometry, training_geometry

_SCALES = {"light": (0.7, 1.0), "standard": (0.4, 1.0)}


@dataclass(frozen=True, eq=False)
class Pipeline:
    """Turns uint8 pixels (height, width, 3) into float32 (3, height, width), normalised.

    In three steps: `geometry`, which knows no chance, so its result can be kept; `vary`, which the seed
    decides; `normalise`, four times the bytes, so best done last and for many images at once. The
    output depends on pixels and seed alone: on no worker, no order, no global state. One pipeline must
    not be called by two threads at once.
    """

    description: str
    """All that shapes the output, as JSON with sorted keys: part of the key of stored features."""
    geometry: Geometry
    transforms: tuple[Any, ...] = field(repr=False)
    levels: NDArray[np.float32] = field(repr=False)
    """What each of the 256 levels of each colour becomes: (1, 256, 3)."""

    def __call__(self, pixels: Pixels, seed: int) -> NDArray[np.float32]:
        image = self.normalise(self.vary(self.geometry(pixels), seed))
        return np.ascontiguousarray(image.transpose(2, 0, 1))  # (3, height, width)

    def copied(self) -> "Pipeline":
        """The same pipeline for another thread."""
        return replace(self, transforms=copy.deepcopy(self.transforms))

    def vary(self, fitted: Pixels, seed: int) -> Pixels:
        """The view that `seed` makes of pixels that went through the geometry: (height, width, 3)."""
        # One stream for all transforms: left to themselves, each would draw the same one. albumentations'
        # own Compose adds 0.3 ms an image of checks to the same calls.
        numbers, choices = np.random.default_rng(seed), random.Random(seed)
        for transform in self.transforms:
            transform.set_random_state(numbers, choices)
            fitted = transform(image=fitted)["image"]
        return fitted

    def normalise(self, pixels: Pixels) -> NDArray[np.float32]:
        """Views (..., height, width, 3) as float32 of the same shape: in one pass, to the bit what timm computes."""
        height, width = pixels.shape[-3:-1]
        rows = np.ascontiguousarray(pixels).reshape(-1, width, 3)
        made: NDArray[np.float32] = _import_cv2().LUT(rows, self.levels)
        return made.reshape(*pixels.shape[:-3], height, width, 3)


def build_evaluation_pipeline(preprocessing: Preprocessing) -> Pipeline:
    """The pixels that timm's own evaluation transform would give; the seed has no effect."""
    return _assemble("evaluation", preprocessing, evaluation_geometry(preprocessing), ())


def build_training_pipeline(preset: Preset, preprocessing: Preprocessing) -> Pipeline:
    """A seeded augmentation: `none` (evaluation geometry), `light` (crop, flip), `standard` (and colour)."""
    if preset == "none":
        return build_evaluation_pipeline(preprocessing)
    albumentations = _import_albumentations()
    size = (preprocessing.height, preprocessing.width)
    transforms = [
        albumentations.RandomResizedCrop(size=size, scale=_SCALES[preset], ratio=(3 / 4, 4 / 3), p=1.0),
        albumentations.HorizontalFlip(p=0.5),
    ]
    if preset == "standard":
        transforms.append(
            albumentations.ColorJitter(
                brightness=(0.8, 1.2), contrast=(0.8, 1.2), saturation=(0.8, 1.2), hue=(-0.02, 0.02), p=0.8
            )
        )
    return _assemble(preset, preprocessing, training_geometry(preset, preprocessing), tuple(transforms))


def sample_seed(seed: int, view: int, sample: str) -> int:
    """A seed below 2**32 for one view of one sample; the same everywhere, for ever."""
    digest = hashlib.sha256(json.dumps([seed, view, sample]).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _assemble(name: str, preprocessing: Preprocessing, geometry: Geometry, transforms: tuple[Any, ...]) -> Pipeline:
    mean, std = (np.array(values, dtype=np.float32) for values in (preprocessing.mean, preprocessing.std))
    levels = (np.arange(256, dtype=np.float32)[None, :, None] / np.float32(255) - mean) / std
    return Pipeline(_describe(name, preprocessing, geometry, transforms), geometry, transforms, levels)


def _describe(name: str, preprocessing: Preprocessing, geometry: Geometry, transforms: tuple[Any, ...]) -> str:
    versions = {"opencv": _import_cv2().__version__}
    if transforms:
        versions["albumentations"] = _import_albumentations().__version__
    facts = {
        "name": name,
        "preprocessing": asdict(preprocessing),
        "geometry": json.loads(geometry.facts),
        "transforms": [
            {"name": type(one).__name__, **one.get_base_init_args(), **one.get_transform_init_args()}
            for one in transforms
        ],
        "versions": versions,
    }
    return json.dumps(facts, sort_keys=True, default=repr)


def _import_cv2() -> Any:
    import cv2

    # Many small images: its threads would cost more than they bring, and take the cores from torch's and the workers'.
    cv2.setNumThreads(0)
    return cv2


def _import_albumentations() -> Any:
    _import_cv2()
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks the network at import otherwise
    import albumentations  # type: ignore[import-untyped]

    return albumentations
