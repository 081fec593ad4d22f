"""From decoded pixels to a network's input: the evaluation pipeline and the seeded training pipelines."""

import copy
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_tools.geometry import Geometry, Preprocessing, evaluation_geometry, training_geometry
from data_tools.presets import NONE, PRESETS
from data_tools.scaling import Pixels
from data_tools.transforms import build_transform, import_albumentations, import_cv2, try_transform


@dataclass(frozen=True, eq=False)
class Pipeline:
    """Turns uint8 pixels (height, width, 3) into float32 (channels, height, width), normalised.

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
    """What each of the 256 levels of each channel becomes: (1, 256, channels)."""

    def __call__(self, pixels: Pixels, seed: int) -> NDArray[np.float32]:
        image = self.normalise(self.vary(self.geometry(pixels), seed))
        return np.ascontiguousarray(image.transpose(2, 0, 1))  # (channels, height, width)

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
        """Views (..., height, width, 3) as float32 of the same shape: in one pass, to the bit what timm computes.

        For a network of one channel (..., height, width, 1): grey by ITU-R BT.601.
        """
        height, width = pixels.shape[-3:-1]
        channels = self.levels.shape[-1]
        rows = np.ascontiguousarray(pixels).reshape(-1, width, 3)
        if channels == 1:
            rows = import_cv2().cvtColor(rows, import_cv2().COLOR_RGB2GRAY)
        made: NDArray[np.float32] = import_cv2().LUT(rows, self.levels)
        return made.reshape(*pixels.shape[:-3], height, width, channels)


def build_evaluation_pipeline(preprocessing: Preprocessing) -> Pipeline:
    """The pixels that timm's own evaluation transform would give; the seed has no effect."""
    return _assemble("evaluation", preprocessing, evaluation_geometry(preprocessing), ())


def build_training_pipeline(
    preset: str, preprocessing: Preprocessing, further: Sequence[Mapping[str, Any]] = ()
) -> Pipeline:
    """A seeded augmentation: the transforms of a preset (data_tools/presets.py), then `further` ones.

    Each of those is a `name` of albumentations and its parameters. Raises DataError for an unknown name or parameter, a
    value that does not fit, and for what does not make an image of an image.
    """
    if preset == NONE and not further:
        return build_evaluation_pipeline(preprocessing)
    size = (preprocessing.height, preprocessing.width)
    transforms = []
    if preset != NONE:
        made = PRESETS[preset]
        crop = {"size": size, "scale": made.scale, "ratio": (3 / 4, 4 / 3), "p": 1.0}
        steps = [("RandomResizedCrop", crop), *((step.name, step.parameters) for step in made.steps)]
        transforms = [build_transform(name, parameters) for name, parameters in steps]
    for number, wanted in enumerate(further, start=1):
        parameters = {key: value for key, value in wanted.items() if key != "name"}
        transforms.append(try_transform(build_transform(wanted["name"], parameters), size, number))
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
    versions = {"opencv": import_cv2().__version__}
    if transforms:
        versions["albumentations"] = import_albumentations().__version__
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
