"""Single transforms of albumentations by name, with their parameters checked. The only module that imports it."""

import inspect
import os
import random
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np

from data_tools.errors import DataError


def build_transform(name: str, parameters: Mapping[str, Any]) -> Any:
    """A transform of albumentations. Raises DataError that names the transform, the parameter and what it takes."""
    kind = getattr(import_albumentations(), name, None)
    if kind is None or name not in transform_names():
        near = get_close_matches(name, transform_names(), n=1, cutoff=0.0)[0]
        raise DataError(f"augment.transforms: {name!r} is no transform of albumentations; did you mean {near!r}?")
    known = [one for one in inspect.signature(kind.__init__).parameters if one != "self"]
    if unknown := [key for key in parameters if key not in known]:
        raise DataError(f"augment.transforms: {name} takes no {unknown[0]!r}; it takes {', '.join(known)}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # albumentations warns of values that it then ignores
        try:
            return kind(**parameters)
        except (ValueError, TypeError, UserWarning) as error:
            text = " ".join(str(error).split())
            raise DataError(f"augment.transforms: {name}: {text[:300]}") from error


def try_transform(transform: Any, size: tuple[int, int], number: int) -> Any:
    """The transform, if it makes uint8 pixels of the same size of such (height, width, 3). Raises DataError if not."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    place = f"augment.transforms {number}, {type(transform).__name__}"
    for seed in range(3):
        transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
        try:
            made = transform(image=pixels)["image"]
        except (ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
            raise DataError(f"{place}: fails on an image: {' '.join(str(error).split())[:200]}") from error
        if not isinstance(made, np.ndarray) or made.dtype != np.uint8 or made.shape != pixels.shape:
            kind = f"{made.dtype} {made.shape}" if isinstance(made, np.ndarray) else type(made).__name__
            raise DataError(f"{place}: makes {kind} of uint8 {pixels.shape}; sizes and colours must stay as they are")
    return transform


def transform_names() -> list[str]:
    """Every transform of albumentations that changes an image."""
    albumentations = import_albumentations()
    kinds = (albumentations.ImageOnlyTransform, albumentations.DualTransform)
    bases = {*kinds, albumentations.BasicTransform, albumentations.Transform3D}
    found = {name: value for name, value in vars(albumentations).items() if inspect.isclass(value)}
    return sorted(name for name, value in found.items() if issubclass(value, kinds) and value not in bases)


def import_cv2() -> Any:
    """OpenCV without threads of its own."""
    import cv2

    # Many small images: its threads would cost more than they bring, and take the cores from torch's and the workers'.
    cv2.setNumThreads(0)
    return cv2


def import_albumentations() -> Any:
    """albumentations, which imports torch where it is installed, so not before it is needed."""
    import_cv2()
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks the network at import otherwise
    import albumentations  # type: ignore[import-untyped]

    return albumentations
