"""The head that a recipe asks for."""

from finetune.backbones import Backbone
from finetune.errors import FreezeError
from finetune.heads import add_multi_stage_head
from finetune.progress import Say, silent
from recipes import Recipe


def give_head(backbone: Backbone, recipe: Recipe, classes: int, say: Say = silent) -> Backbone:
    """`backbone` with the head of the recipe; for `auto` the multi-stage one, if it can have it, until one is chosen.

    Raises FreezeError, with the reason, where a multi-stage head is asked for and cannot be had.
    """
    kind = recipe.head.kind
    if kind == "linear":
        return backbone
    if kind == "auto" and not backbone.is_pretrained:
        say("Head: linear; with random weights there is nothing to compare heads by.")
        return backbone
    try:
        return add_multi_stage_head(backbone, classes, dropout=recipe.head.dropout, seed=recipe.seed)
    except FreezeError as error:
        if kind != "auto":
            raise
        say(f"Head: linear; {error}")
        return backbone
