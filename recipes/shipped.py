"""The recipes that come with the package: listed, shown and copied without reading their YAML."""

from pathlib import Path

from recipes.errors import RecipeError
from recipes.nearest import nearest

DEFAULT_RECIPE = "first-three"
_FOLDER = Path(__file__).parent


def recipe_names() -> list[str]:
    """The names of the shipped recipes, sorted."""
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))


def list_recipes() -> list[tuple[str, str]]:
    """Name and one-line summary (its first comment line) of every shipped recipe, sorted by name."""
    return [(name, recipe_text(name).partition("\n")[0].lstrip("# ")) for name in recipe_names()]


def recipe_text(name: str) -> str:
    """The YAML of a shipped recipe.

    Raises RecipeError for an unknown name, with the nearest one.
    """
    if name not in recipe_names():
        raise unknown_recipe(name)
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def copy_recipe(name: str, target: Path) -> None:
    """Write a shipped recipe to `target`, which must not exist yet.

    Raises RecipeError for an unknown name or a target that cannot be written.
    """
    text = recipe_text(name)
    try:
        with target.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise RecipeError(f"{target} exists already; nothing was written. Choose another name.") from error
    except OSError as error:
        raise RecipeError(f"{target} cannot be written: {error.strerror}. Choose another place.") from error


def unknown_recipe(name: str) -> RecipeError:
    """The error for a name that no shipped recipe has."""
    names = recipe_names()
    meant = nearest(name, names)
    hint = f"did you mean {meant!r}?" if meant else f"shipped recipes: {', '.join(names)}."
    return RecipeError(f"{name!r} is neither a shipped recipe nor a file; {hint}")
