"""`finetune report`: rebuild every report file from a predictions table alone."""

from pathlib import Path

import click
from rich.console import Console

from finetune.cli.process import importing


@click.command("report")
@click.argument("source", type=click.Path(path_type=Path), metavar="RUN|predictions.csv")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; default: the run, or `report` beside the table.")
def command(source: Path, out: Path | None) -> None:
    """Rebuild the report of RUN, or of any predictions table in our format."""
    with importing():
        from finetune.cli import display
        from finetune.reporting import rebuild_report

    folder, evaluation = rebuild_report(source, out)
    console = Console(soft_wrap=True)
    display.show_evaluation(console, evaluation)
    display.show_paths(console, folder)
