"""Options that several commands share, and how they become a recipe."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from recipes import Recipe, load_recipe, parse_setting

_SHORTCUTS = {
    "model": "model.name",
    "weights": "model.weights",
    "image_size": "model.image_size",
    "metadata": "data.metadata",
    "group": "data.group",
    "workers": "data.workers",
    "freeze": "freeze.policy",
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "lr": "train.learning_rate",
    "precision": "train.precision",
    "device": "train.device",
    "seed": "seed",
}

_MODEL_HELP = "Any timm model; default: resnet50."
_RECIPE_HELP = "A shipped recipe or a file; default: first-three."
_FREEZE_HELP = "A policy, or stages and patterns to freeze, comma-separated."
_MODEL = click.option("--model", metavar="NAME", help=_MODEL_HELP)
_SINGLE = [
    click.option("--recipe", metavar="NAME|FILE", help=_RECIPE_HELP),
    click.option("--freeze", metavar="POLICY", help=_FREEZE_HELP),
]
_CHOICES = [
    click.option("--recipe", metavar="NAME|FILE", multiple=True, help=f"{_RECIPE_HELP} Several to compare."),
    click.option("--model", metavar="NAME", multiple=True, help=f"{_MODEL_HELP} Several to compare."),
    click.option("--freeze", metavar="POLICY", multiple=True, help=f"{_FREEZE_HELP} Several to compare."),
]
_OPTIONS = [
    click.option("--weights", metavar="pretrained|embedded|none|FILE", help="Starting weights; default: pretrained."),
    click.option("--metadata", metavar="CSV", help="Table to join to a folder on its path (or file) column."),
    click.option("--group", metavar="COLUMN|REGEX", help="What must not be split apart: patient, slide, source."),
    click.option("--resplit", is_flag=True, help="Ignore the splits that the data bring and cut anew."),
    click.option("--allow", metavar="CHECK", multiple=True, help="Go on over an error finding, by name."),
    click.option("--strict", is_flag=True, help="Stop on any unreadable image."),
    click.option("--seed", type=int, help="Seed of everything random; default: 0."),
    click.option("--set", "settings", metavar="KEY.PATH=VALUE", multiple=True, help="Any other recipe key."),
    click.option("--epochs", type=int, help="Short for --set train.epochs."),
    click.option("--batch-size", type=int, help="Short for --set train.batch_size."),
    click.option("--lr", type=float, help="Short for --set train.learning_rate."),
    click.option("--precision", metavar="auto|bf16|fp16|fp32|fp64", help="Short for --set train.precision."),
    click.option("--image-size", type=int, help="Short for --set model.image_size."),
    click.option("--device", help="auto, cpu, cuda or mps."),
    click.option("--workers", type=int, help="Threads that read and prepare images."),
]


_REPORT_OPTIONS = [
    click.option("--subgroup", metavar="COLUMN", multiple=True, help="Rows of their own for each value, such as site."),
    click.option("--ordered", is_flag=True, help="Classes are grades, by the number in each name."),
]


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that shape a report alone to a command."""
    for option in reversed(_REPORT_OPTIONS):
        command = option(command)
    return command


def report_settings(options: dict[str, Any]) -> dict[str, object]:
    """The recipe keys that the options of a report stand for, but for those that were not given."""
    settings: dict[str, object] = {}
    if options.get("subgroup"):
        settings["evaluate.subgroups"] = list(options["subgroup"])
    if options.get("ordered"):
        settings["evaluate.ordered"] = True
    return settings


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add every option that shapes a recipe to a command."""
    return _MODEL(recipe_options_but_model(command))


def recipe_options_but_model(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a command that takes the model as its argument."""
    return _add(command, [*_SINGLE, *_OPTIONS])


def choice_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a command that takes several recipes, models and policies."""
    return _add(command, [*_CHOICES, *_OPTIONS])


def _add(command: Callable[..., Any], options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def recipe_from(options: dict[str, Any]) -> Recipe:
    """The recipe that the options ask for; the more special word wins: recipe, --set, own option.

    Raises RecipeError with every fault at once.
    """
    overrides = dict(parse_setting(text) for text in options["settings"])
    overrides |= {key: options[name] for name, key in _SHORTCUTS.items() if options[name] is not None}
    overrides |= {f"data.{name}": True for name in ("resplit", "strict") if options[name]}
    if options["allow"]:
        overrides["data.allow"] = list(options["allow"])
    return load_recipe(options["recipe"], overrides | report_settings(options))


def data_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """The DATA argument: a folder or a CSV manifest; whether it exists is data_tools' to say."""
    return click.argument("data", type=click.Path(path_type=Path))(command)
