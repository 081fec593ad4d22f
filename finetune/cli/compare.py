"""`finetune compare`: policies, recipes or backbones side by side, the test part left alone."""

from itertools import product
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from finetune.cli.options import choice_options, data_argument, recipe_from
from finetune.cli.process import importing
from finetune.cli.progress import ConsoleTrack, sayer

_CHOICES = ("recipe", "model", "freeze")


@click.command("compare")
@data_argument
@choice_options
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Inner folds of the training part.")
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True, help="Times over, cut anew each time.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; default: runs/<name>-<number>.")
@click.option("--overwrite", is_flag=True, help="Replace the comparison that --out holds.")
def command(data: Path, out: Path | None, overwrite: bool, folds: int, repeats: int, **options: Any) -> None:
    """Compare policies, recipes or backbones on DATA: every combination of --recipe, --model and --freeze.

    All are judged on the same inner folds of the training part; the test part is not looked at.
    """
    console = Console(soft_wrap=True)
    values = {name: options.pop(name) or (None,) for name in _CHOICES}
    if max(map(len, values.values())) < 2:
        raise click.UsageError("give --freeze, --model or --recipe at least twice; one candidate is no comparison")
    given = [dict(zip(_CHOICES, one, strict=True)) for one in product(*values.values())]
    recipes = [recipe_from({**options, **one}) for one in given]

    with importing():
        from finetune.cli import display
        from finetune.interrupts import stop_on_signals
        from finetune.jobs.compare import compare, name_recipes
        from finetune.jobs.folding import Folding

    with stop_on_signals() as stop:
        result = compare(
            data,
            name_recipes([{name: value or "" for name, value in one.items()} for one in given], recipes),
            out,
            folding=Folding(folds=folds, repeats=repeats),
            overwrite=overwrite,
            track=ConsoleTrack(Console(stderr=True)),
            say=sayer(console),
            stop=stop,
        )
    display.show_comparison(console, result)
