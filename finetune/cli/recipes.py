"""`finetune recipes`: list, show, copy and check recipes."""

from pathlib import Path

import click


@click.group("recipes")
def command() -> None:
    """List, show, copy and check recipes."""


@command.command("list")
def list_command() -> None:
    """The shipped recipes, a line each."""
    from recipes.shipped import list_recipes

    rows = list_recipes()
    width = max(len(name) for name, _ in rows)
    for name, summary in rows:
        click.echo(f"{name:<{width}}  {summary}")


@command.command("show")
@click.argument("name")
def show_command(name: str) -> None:
    """Print a shipped recipe."""
    from recipes.shipped import recipe_text

    click.echo(recipe_text(name), nl=False)


@command.command("copy")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
def copy_command(name: str, file: Path) -> None:
    """Write a shipped recipe to FILE, to be edited."""
    from recipes.shipped import copy_recipe

    copy_recipe(name, file)
    click.echo(f"{file} written; edit it, then: finetune run DATA --recipe {file}")


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check_command(file: Path) -> None:
    """Say whether FILE is a good recipe, or every fault in it."""
    from recipes import load_recipe

    recipe = load_recipe(file)
    click.echo(f"{file} is a good recipe: {recipe.model.name}, freeze {recipe.freeze.policy}.")
