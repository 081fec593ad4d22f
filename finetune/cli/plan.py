"""`finetune plan`: what of a model would be frozen, and where it is cut."""

import json
import sys

import click
from rich.console import Console


@click.command("plan")
@click.argument("model")
@click.option("--freeze", default="first-three", show_default=True, metavar="POLICY", help="The freeze policy.")
@click.option("--image-size", type=int, help="Pixels on a side; default: the model's own.")
@click.option("--classes", type=click.IntRange(1), default=1000, show_default=True, help="Outputs of the head.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(model: str, freeze: str, image_size: int | None, classes: int, as_json: bool) -> None:
    """Show the freeze table of MODEL, a timm name. Trains nothing, fetches nothing."""
    from finetune.cli import display
    from finetune.jobs.plan_table import describe_plan, plan_without_weights

    backbone, plan, cut = plan_without_weights(model, freeze, classes, image_size)
    table = describe_plan(backbone, plan, cut)
    if as_json:
        json.dump(table, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    display.show_plan_table(Console(), table)
