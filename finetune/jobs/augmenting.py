"""Which seeded views of a training image a recipe asks for."""

from data_tools import Pipeline, Preprocessing, build_training_pipeline
from recipes import Recipe


def training_pipeline(recipe: Recipe, preprocessing: Preprocessing) -> Pipeline:
    """What training images go through: the preset, then the recipe's own transforms."""
    further = [transform.model_dump() for transform in recipe.augment.transforms]
    return build_training_pipeline(recipe.augment.preset, preprocessing, further)


def varies(recipe: Recipe) -> bool:
    """Whether views of a training image differ from each other."""
    return recipe.augment.preset != "none" or bool(recipe.augment.transforms)


def count_views(recipe: Recipe) -> int:
    """Views that are kept of each training image."""
    return recipe.augment.views if varies(recipe) else 1
