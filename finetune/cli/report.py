"""`finetune report`: rebuild every report file from a predictions table alone."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from finetune.cli.options import report_options, report_settings
from finetune.cli.process import importing
from recipes import parse_setting


@click.command("report")
@click.argument("source", type=click.Path(path_type=Path), metavar="RUN|predictions.csv")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; default: the run, or `report` beside the table.")
@report_options
@click.option("--set", "settings", metavar="KEY.PATH=VALUE", multiple=True, help="A recipe key of `evaluate`.")
def command(source: Path, out: Path | None, settings: tuple[str, ...], **options: Any) -> None:
    """Rebuild the report of RUN, or of any predictions table in our format.

    What is set here goes before what the recipe of RUN says.
    """
    overrides = dict(parse_setting(text) for text in settings) | report_settings(options)
    with importing():
        from finetune.cli import display
        from finetune.reporting import rebuild_report

    folder, evaluation = rebuild_report(source, out, overrides)
    console = Console(soft_wrap=True)
    display.show_evaluation(console, evaluation)
    display.show_paths(console, folder)
