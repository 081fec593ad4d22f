"""Which seeded views of a training image a recipe asks for."""

import json

from data_tools import Pipeline, Preprocessing, build_evaluation_pipeline, build_training_pipeline
from recipes import Recipe


def training_pipeline(recipe: Recipe, preprocessing: Preprocessing) -> Pipeline:
    """What training images go through: the preset, then the recipe's own transforms."""
    further = [transform.model_dump() for transform in recipe.augment.transforms]
    return build_training_pipeline(recipe.augment.preset, preprocessing, further)


def describe_pipelines(recipe: Recipe, preprocessing: Preprocessing) -> dict[str, object]:
    """All that happens to an image before the network sees it, in evaluation and in training, with versions."""
    made = {
        "evaluation": build_evaluation_pipeline(preprocessing),
        "training": training_pipeline(recipe, preprocessing),
    }
    return {name: json.loads(pipeline.description) for name, pipeline in made.items()}


def varies(recipe: Recipe) -> bool:
    """Whether views of a training image differ from each other."""
    return recipe.augment.preset != "none" or bool(recipe.augment.transforms)


def count_views(recipe: Recipe) -> int:
    """Views that are kept of each training image."""
    return recipe.augment.views if varies(recipe) else 1
