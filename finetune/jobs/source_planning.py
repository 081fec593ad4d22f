"""Which source serves a run: decided once, before anything is computed, and told with its reason.

The decision shapes the bytes of a run, so it follows from the data, the recipe and the budget alone,
never from a measured second; and it becomes part of the run's recipe, so that a resumed or repeated
run makes the same one on a fuller disk.
"""

from dataclasses import dataclass
from pathlib import Path

from finetune.features import StoreIdentity
from finetune.features.images import TRUNK_BATCH
from recipes import Recipe, load_recipe

LEAST_VIEWS = 2
"""Fewer than an evaluation view and a variant of it are not stored for the sake of room."""


@dataclass(frozen=True)
class SourcePlan:
    """The recipe with its source and views filled in, and the sentence that says why."""

    recipe: Recipe
    sentence: str


def plan_source(recipe: Recipe, identity: StoreIdentity | None, budget: int, workers: int) -> SourcePlan:
    """Fill in `cache.mode`, and fewer `augment.views` where the budget asks for it.

    `identity` is that of the training views as the recipe wants them, None where there is no trunk;
    `budget` are the bytes that the cache may hold.
    """
    if identity is None:
        return SourcePlan(_with(recipe, "whole", recipe.augment.views), "Source: whole; every step runs the network.")
    hands = f"{workers} worker{'' if workers == 1 else 's'} to prepare images" if workers else "no workers"
    how = f"trunk in batches of {TRUNK_BATCH} views, {hands}"
    images, wanted = len(identity.images), identity.views
    room = f"the cache's budget of {budget / 1e9:.1f} GB"
    if recipe.cache.mode != "auto":
        return SourcePlan(recipe, f"Source: {recipe.cache.mode}, as the recipe says; {how}.")
    each = identity.size_bytes // wanted
    views = min(wanted, budget // max(1, each))
    if views == wanted or views >= LEAST_VIEWS:
        fewer = "" if views == wanted else f" in place of {wanted}, which do not fit"
        sentence = (
            f"Source: stored; {views} view{'' if views == 1 else 's'} of {images} training images{fewer} take "
            f"{views * each / 1e9:.2f} GB in {identity.dtype} of {room}, so the trunk runs once; {how}."
        )
        return SourcePlan(_with(recipe, "stored", views), sentence)
    sentence = (
        f"Source: fresh; {wanted} views of {images} training images would take {wanted * each / 1e9:.1f} GB, more than "
        f"{room}: the trunk runs anew each epoch; {how}."
    )
    return SourcePlan(_with(recipe, "fresh", wanted), sentence)


def recalled(recipe: Recipe, earlier: Path) -> Recipe:
    """`recipe`, with source and arithmetic that the run whose recipe lies at `earlier` has chosen; else as it is."""
    if not earlier.exists():
        return recipe
    held = load_recipe(str(earlier), {})
    if recipe.train.precision == "auto":
        recipe = with_precision(recipe, held.train.precision)
    views = min(held.augment.views, recipe.augment.views)
    is_settled = recipe.cache.mode != "auto" or held.cache.mode == "auto"
    return recipe if is_settled else _with(recipe, held.cache.mode, views)


def with_precision(recipe: Recipe, precision: str) -> Recipe:
    """The recipe with its arithmetic filled in."""
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"precision": precision})})


def _with(recipe: Recipe, mode: str, views: int) -> Recipe:
    return recipe.model_copy(
        update={
            "cache": recipe.cache.model_copy(update={"mode": mode}),
            "augment": recipe.augment.model_copy(update={"views": views}),
        }
    )
