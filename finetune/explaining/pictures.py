"""Pictures with heat maps for a report, by path and class."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from data_tools import (
    ImageError,
    Preprocessing,
    Scaling,
    build_evaluation_pipeline,
    evaluation_geometry,
    read_image,
)
from data_tools.geometry import THUMBNAIL_SIDE
from finetune.backbones import Backbone
from finetune.errors import WeightsError
from finetune.explaining.grad_cam import explain_image
from finetune.explaining.overlays import overlay
from finetune.heads import load_model, saved_labels

Pixels = NDArray[np.uint8]
Explain = Callable[[str, str], Pixels | None]
"""A picture (height, width, 3) in thumbnail size, heat laid over: of the image at a path, for the class of a name."""


def explain_with(backbone: Backbone, labels: tuple[str, ...], look: Callable[[str], Pixels]) -> Explain:
    """Draws heat maps of a network with these classes; `look` reads an image, by its path, as evaluation sees it.

    The heat lies on the evaluation view and not on the whole image: what the network was never shown has no heat. A
    class or an image that is not there gives None, and so do a network that has no map and a map without heat.
    """
    pipeline = build_evaluation_pipeline(backbone.preprocessing)

    def explain(path: str, label: str) -> Pixels | None:
        if label not in labels:
            return None
        try:
            view = look(path)
        except (ImageError, OSError):
            return None
        image = torch.from_numpy(pipeline.normalise(view)).permute(2, 0, 1)  # (channels, height, width)
        heat = explain_image(backbone, image, labels.index(label))
        return None if isinstance(heat, str) or not heat.any() else overlay(_as_thumbnail(view), heat)

    return explain


def explain_saved(model: Path, root: Path, scaling: Scaling) -> Explain:
    """The same for the network of a folder `model`, read when the first picture is asked for, and images below `root`.

    Without a whole model there are no pictures.
    """

    @cache
    def load() -> Explain | None:
        try:
            backbone, labels = load_model(model), saved_labels(model)
        except WeightsError:
            return None
        backbone.model.to(memory_format=torch.channels_last)  # two thirds of the time on a CPU
        return explain_with(backbone, labels, view_reader(root, scaling, backbone.preprocessing))

    def explain(path: str, label: str) -> Pixels | None:
        drawn = load()
        return None if drawn is None else drawn(path, label)

    return explain


def view_reader(root: Path, scaling: Scaling, preprocessing: Preprocessing) -> Callable[[str], Pixels]:
    """Reads an image by its path below `root` as evaluation sees it."""
    geometry = evaluation_geometry(preprocessing)
    return lambda path: geometry(read_image(root / path, scaling))


def _as_thumbnail(view: Pixels) -> Pixels:
    """The view (height, width, 3) with its longer side as long as a thumbnail's."""
    height, width = view.shape[:2]
    ratio = THUMBNAIL_SIDE / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(Image.fromarray(view).resize(size, Image.Resampling.BICUBIC))
