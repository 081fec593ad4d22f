"""`finetune run`: the main job."""

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from finetune.cli.options import data_argument, recipe_from, recipe_options, report_options
from finetune.cli.process import importing
from finetune.cli.progress import ConsoleTrack, sayer


@click.command("run")
@data_argument
@recipe_options
@report_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run; default: runs/<name>-<number>.")
@click.option("--overwrite", is_flag=True, help="Replace the run that --out holds.")
@click.option("--resume", is_flag=True, help="Go on with the run that was stopped, from its last checkpoint.")
@click.option("--dry-run", is_flag=True, help="Show the data findings and the freeze table; train nothing.")
def command(data: Path, out: Path | None, overwrite: bool, resume: bool, dry_run: bool, **options: Any) -> None:
    """Train on DATA (a folder, or a CSV manifest) and report per class, with intervals."""
    recipe = recipe_from(options)
    with importing():
        from finetune.cli import display, plan_display
        from finetune.interrupts import stop_on_signals
        from finetune.jobs.plan_table import describe_plan
        from finetune.jobs.planning import preview
        from finetune.jobs.run import run
        from finetune.ranks import is_first_process

    console = Console(soft_wrap=True, quiet=not is_first_process())
    track = ConsoleTrack(Console(stderr=True))
    say = sayer(console)
    if dry_run:
        made = preview(data, recipe, track=track, say=say)
        display.show_dataset(console, made.dataset)
        table = describe_plan(made, recipe)
        plan_display.show_plan_table(plan_display.open_console(), table)
        return
    with stop_on_signals() as stop:
        result = run(
            data,
            recipe,
            out,
            overwrite=overwrite,
            resume=resume,
            command=["finetune", *sys.argv[1:]],
            track=track,
            say=say,
            stop=stop,
        )
    display.show_result(console, result)
