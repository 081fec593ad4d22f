"""From a folder or a table of images to one checked, split table and its pixels.

Names are loaded on first use, so that `import data_tools` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_tools.columns import CHECKS, DATASET_COLUMNS, FINDING_COLUMNS, SPLITS
    from data_tools.dataset import Dataset, prepare_dataset
    from data_tools.decoding import read_image
    from data_tools.errors import DataError, ImageError
    from data_tools.geometry import (
        Geometry,
        Preprocessing,
        evaluation_geometry,
        thumbnail_geometry,
        training_geometry,
    )
    from data_tools.keeping import Keeping
    from data_tools.pipelines import Pipeline, build_evaluation_pipeline, build_training_pipeline, sample_seed
    from data_tools.pixels import PixelStore
    from data_tools.scaling import Scaling
    from data_tools.settings import DatasetSettings

_HOMES = {
    "CHECKS": "columns",
    "DATASET_COLUMNS": "columns",
    "FINDING_COLUMNS": "columns",
    "SPLITS": "columns",
    "Dataset": "dataset",
    "prepare_dataset": "dataset",
    "read_image": "decoding",
    "DataError": "errors",
    "ImageError": "errors",
    "Geometry": "geometry",
    "Preprocessing": "geometry",
    "evaluation_geometry": "geometry",
    "thumbnail_geometry": "geometry",
    "training_geometry": "geometry",
    "Keeping": "keeping",
    "Pipeline": "pipelines",
    "build_evaluation_pipeline": "pipelines",
    "build_training_pipeline": "pipelines",
    "sample_seed": "pipelines",
    "PixelStore": "pixels",
    "Scaling": "scaling",
    "DatasetSettings": "settings",
}

__all__ = [
    "CHECKS",
    "DATASET_COLUMNS",
    "FINDING_COLUMNS",
    "SPLITS",
    "DataError",
    "Dataset",
    "DatasetSettings",
    "Geometry",
    "ImageError",
    "Keeping",
    "Pipeline",
    "PixelStore",
    "Preprocessing",
    "Scaling",
    "build_evaluation_pipeline",
    "build_training_pipeline",
    "evaluation_geometry",
    "prepare_dataset",
    "read_image",
    "sample_seed",
    "thumbnail_geometry",
    "training_geometry",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'data_tools' has no attribute {name!r}")
    return getattr(import_module(f"data_tools.{_HOMES[name]}"), name)
