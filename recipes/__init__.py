"""Recipes: what a run shall do, as strict YAML. `load_recipe` reads one, `Recipe` holds it.

Names are imported when they are first used: listing the shipped recipes needs no pydantic.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recipes.errors import RecipeError
    from recipes.loading import change_recipe, dump_recipe, load_recipe, parse_setting
    from recipes.phases import Phase, list_phases, phase_at
    from recipes.schema import (
        AugmentSettings,
        CacheSettings,
        DataSettings,
        EvaluateSettings,
        FreezeSettings,
        HeadSettings,
        ModelSettings,
        PhaseSettings,
        Recipe,
        TrainSettings,
        TransformSettings,
    )
    from recipes.shipped import DEFAULT_RECIPE, copy_recipe, list_recipes, recipe_text

__all__ = [
    "DEFAULT_RECIPE",
    "AugmentSettings",
    "CacheSettings",
    "DataSettings",
    "EvaluateSettings",
    "FreezeSettings",
    "HeadSettings",
    "ModelSettings",
    "Phase",
    "PhaseSettings",
    "Recipe",
    "RecipeError",
    "TrainSettings",
    "TransformSettings",
    "change_recipe",
    "copy_recipe",
    "dump_recipe",
    "list_phases",
    "list_recipes",
    "load_recipe",
    "parse_setting",
    "phase_at",
    "recipe_text",
]

_HOMES = {
    "RecipeError": "errors",
    "change_recipe": "loading",
    "dump_recipe": "loading",
    "load_recipe": "loading",
    "parse_setting": "loading",
    "Phase": "phases",
    "list_phases": "phases",
    "phase_at": "phases",
    "DEFAULT_RECIPE": "shipped",
    "copy_recipe": "shipped",
    "list_recipes": "shipped",
    "recipe_text": "shipped",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'recipes' has no attribute {name!r}")
    return getattr(importlib.import_module(f"recipes.{_HOMES.get(name, 'schema')}"), name)
