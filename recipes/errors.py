"""The one error of the package: a recipe that cannot be used."""


class RecipeError(Exception):
    """A recipe, or a setting on top of one, that cannot be used; the message says what to do."""
