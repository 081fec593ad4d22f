"""`finetune cv`: cross-validation at about the price of one run."""

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from finetune.cli.options import data_argument, recipe_from, recipe_options
from finetune.cli.process import importing
from finetune.cli.progress import ConsoleTrack, sayer
from recipes import parse_setting


@click.command("cv")
@data_argument
@recipe_options
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts, each held out once.")
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True, help="Times over, cut anew each time.")
@click.option(
    "--select",
    metavar="KEY.PATH=VALUE",
    multiple=True,
    help="A value to choose from, inside each fold; give it once for each, such as freeze.policy=head-only.",
)
@click.option("--inner-folds", type=click.IntRange(2), default=3, show_default=True, help="Folds that --select uses.")
@click.option("--final", "keeps_final", is_flag=True, help="Then train on all images, and keep that model.")
@click.option("--learning-curve", "draws_curve", is_flag=True, help="Would more images help? Train on fewer, too.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; default: runs/<name>-<number>.")
@click.option("--overwrite", is_flag=True, help="Replace the run that --out holds.")
def command(data: Path, out: Path | None, overwrite: bool, **options: Any) -> None:
    """Hold every image of DATA out once, and report on all of them with intervals."""
    asked = {name: options.pop(name) for name in ("folds", "repeats", "inner_folds", "keeps_final", "draws_curve")}
    select = tuple(parse_setting(text) for text in options.pop("select"))
    recipe = recipe_from(options)
    console = Console(soft_wrap=True)
    with importing():
        from finetune.cli import display
        from finetune.interrupts import stop_on_signals
        from finetune.jobs.cross_validate import cross_validate
        from finetune.jobs.folding import Folding

    with stop_on_signals() as stop:
        result = cross_validate(
            data,
            recipe,
            out,
            folding=Folding(select=select, **asked),
            overwrite=overwrite,
            command=["finetune", *sys.argv[1:]],
            track=ConsoleTrack(Console(stderr=True)),
            say=sayer(console),
            stop=stop,
        )
    display.show_cross_validation(console, result)
