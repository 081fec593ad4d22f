"""A picture of what a recipe does to images: as decoded, as evaluated, and some seeded training views."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from data_tools import Dataset, build_evaluation_pipeline, read_image, sample_seed
from finetune.backbones import expected_preprocessing
from finetune.jobs.augmenting import training_pipeline
from recipes import Recipe

IMAGES = 6
VIEWS = 5
CELL = 160
"""Side of a cell in pixels."""
_GAP = 8
_TITLES = ("as decoded", "evaluation", *(f"view {number}" for number in range(1, VIEWS + 1)))


def preview_drawer(recipe: Recipe) -> Callable[[Dataset], bytes]:
    """Draws the PNG for a dataset: a row for each of IMAGES training images, of all classes in turn."""
    preprocessing = expected_preprocessing(recipe.model.name, recipe.model.image_size, recipe.model.channels)
    evaluation, training = build_evaluation_pipeline(preprocessing), training_pipeline(recipe, preprocessing)

    def draw(dataset: Dataset) -> bytes:
        rows = []
        for path in _choose(dataset):
            pixels = read_image(dataset.root / path, dataset.scaling)
            fitted = training.geometry(pixels)
            views = [training.vary(fitted, sample_seed(recipe.seed, view, path)) for view in range(1, VIEWS + 1)]
            rows.append([pixels, evaluation.vary(evaluation.geometry(pixels), 0), *views])
        return _sheet(rows)

    return draw


def _choose(dataset: Dataset) -> list[str]:
    """Training images, the first of every class, then the second, up to IMAGES."""
    part = dataset.part("train")
    order = part.groupby("label").cumcount()
    ordered = part.assign(_order=order).sort_values(["_order", "label"], kind="stable")
    return [str(path) for path in ordered["path"].head(IMAGES)]


def _sheet(rows: list[list[NDArray[np.uint8]]]) -> bytes:
    step, top = CELL + _GAP, 24
    sheet = Image.new("RGB", (len(_TITLES) * step + _GAP, len(rows) * step + _GAP + top), "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(_TITLES):
        pen.text((_GAP + column * step, _GAP), title, fill="black")
    for line, pictures in enumerate(rows):
        for column, pixels in enumerate(pictures):
            small = ImageOps.contain(Image.fromarray(pixels), (CELL, CELL))
            sheet.paste(small, (_GAP + column * step, top + _GAP + line * step))
    content = io.BytesIO()
    sheet.save(content, format="PNG")
    return content.getvalue()
