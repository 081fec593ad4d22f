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
@click.option("--share", "is_shared", is_flag=True, help="A report to pass on, in `share`: no pictures, code names.")
@click.option("--with-table", is_flag=True, help="With --share: the scores too, as predictions.csv.")
@report_options
@click.option("--set", "settings", metavar="KEY.PATH=VALUE", multiple=True, help="A recipe key of `evaluate`.")
def command(
    source: Path, out: Path | None, is_shared: bool, with_table: bool, settings: tuple[str, ...], **options: Any
) -> None:
    """Rebuild the report of RUN, or of any predictions table in our format.

    What is set here goes before what the recipe of RUN says. A shared report holds no pictures and no paths; images
    and groups stand under code names that nobody can compute back. Names of classes stay as they are.
    """
    if with_table and not is_shared:
        raise click.UsageError("--with-table goes with --share.")
    overrides = dict(parse_setting(text) for text in settings) | report_settings(options)
    with importing():
        from finetune.cli import display
        from finetune.reporting import rebuild_report, share_report

    if is_shared:
        folder, evaluation = share_report(source, out, overrides, with_table=with_table)
    else:
        folder, evaluation = rebuild_report(source, out, overrides)
    console = Console(soft_wrap=True)
    display.show_evaluation(console, evaluation)
    display.show_paths(console, folder)
