"""What the data section of a recipe asks of data_tools."""

import os
from pathlib import Path

from data_tools import DatasetSettings, Scaling
from recipes import Recipe

_MOST_WORKERS = 8
"""More threads would wait for Python's lock."""


def dataset_settings(recipe: Recipe) -> DatasetSettings:
    """The settings by which a source becomes a dataset. Raises DataError for values that no data can have."""
    data = recipe.data
    return DatasetSettings(
        metadata=Path(data.metadata) if data.metadata else None,
        group=data.group,
        resplit=data.resplit,
        splits=Path(data.splits) if data.splits else None,
        join_near_duplicates=data.join_near_duplicates,
        scaling=_scaling(recipe),
        test_fraction=data.test_fraction,
        val_fraction=data.val_fraction,
        seed=recipe.seed,
        strict=data.strict,
        further=further_columns(recipe),
        allow=tuple(data.allow),
    )


def further_columns(recipe: Recipe) -> tuple[str, ...]:
    """Columns by which the report parts images, but for the group, which every table has."""
    return tuple(column for column in recipe.evaluate.subgroups if column != "group")


def count_workers(recipe: Recipe) -> int:
    """Threads that read images: as the recipe says, or one for each core that this process may use."""
    if recipe.data.workers is not None:
        return recipe.data.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_MOST_WORKERS, cores)


def _scaling(recipe: Recipe) -> Scaling:
    data = recipe.data
    if data.scaling == "bits":
        return Scaling(bits=data.bits_stored)
    bounds = data.scaling_range if data.scaling == "range" else data.scaling_percentiles
    assert bounds is not None
    return Scaling(data.scaling, bounds[0], bounds[1])
