"""`finetune plan`: what of a model would be frozen, where it is cut, and what a run would cost."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from finetune.cli.options import recipe_from, recipe_options_but_model
from finetune.cli.process import importing
from finetune.cli.progress import ConsoleTrack, sayer

_CLASSES = 1000


@click.command("plan")
@click.argument("model")
@click.option("--data", type=click.Path(path_type=Path), help="Images or manifest: predict time, memory and disk too.")
@recipe_options_but_model
@click.option(
    "--classes", type=click.IntRange(1), help=f"Outputs of the head; default: those of DATA, else {_CLASSES}."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--verbose", is_flag=True, help="Add blocks, output and modules of each stage, and what learns by name.")
def command(model: str, data: Path | None, classes: int | None, as_json: bool, verbose: bool, **options: Any) -> None:
    """Show the freeze table of MODEL, a timm name. Trains nothing; fetches nothing unless --data asks for weights."""
    recipe = recipe_from(options | {"model": model})
    if data is not None and classes is not None:
        raise click.BadOptionUsage(
            "classes", "--classes is for a plan without --data; the data say how many there are."
        )

    with importing():
        from finetune.cli import plan_display
        from finetune.jobs.plan_table import describe_plan, plan_without_weights

    if data is None:
        forecast = None
        sketch = plan_without_weights(recipe, classes or _CLASSES)
        plan, table = sketch.plan, describe_plan(sketch, recipe)
    else:
        from finetune.jobs.forecasting import forecast_run

        messages = Console(stderr=True)
        made, forecast = forecast_run(data, recipe, track=ConsoleTrack(messages), say=sayer(messages))
        plan, table = made.plan, describe_plan(made, recipe) | {"forecast": forecast.as_json()}
    if as_json:
        json.dump(table, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    console = plan_display.open_console()
    plan_display.show_plan_table(console, table)
    if verbose:
        plan_display.show_contents(console, table, plan)
    if forecast is not None:
        plan_display.show_forecast(console, forecast)
