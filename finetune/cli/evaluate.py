"""`finetune evaluate`: a run's network on labelled images from elsewhere."""

import sys
from pathlib import Path

import click
from rich.console import Console

from finetune.cli.options import data_argument
from finetune.cli.process import importing
from finetune.cli.progress import ConsoleTrack, sayer


@click.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path))
@data_argument
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the report.")
@click.option("--metadata", type=click.Path(path_type=Path), metavar="CSV", help="Table to join to a folder.")
@click.option("--group", metavar="COLUMN|REGEX", help="What belongs together: patient, slide, source.")
@click.option("--allow", metavar="CHECK", multiple=True, help="Go on over an error finding, by name.")
@click.option("--strict", is_flag=True, help="Stop on any unreadable image.")
@click.option("--overwrite", is_flag=True, help="Replace the evaluation that --out holds.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--workers", type=click.IntRange(0), help="Threads that read and prepare images.")
def command(
    run: Path,
    data: Path,
    out: Path,
    metadata: Path | None,
    group: str | None,
    allow: tuple[str, ...],
    strict: bool,
    overwrite: bool,
    device: str,
    workers: int | None,
) -> None:
    """Judge the network of RUN on DATA (a folder, or a CSV manifest): a labelled set from another site.

    Writes the whole report and the change against the run's own test part. Splits that DATA brings are ignored.
    """
    console = Console(soft_wrap=True)

    with importing():
        from data_tools import DatasetSettings
        from finetune.cli import display
        from finetune.jobs.external_validation import evaluate

    result = evaluate(
        run,
        data,
        out,
        DatasetSettings(metadata=metadata, group=group, allow=allow, strict=strict),
        device=device,
        workers=workers,
        overwrite=overwrite,
        command=["finetune", *sys.argv[1:]],
        track=ConsoleTrack(Console(stderr=True)),
        say=sayer(console),
    )
    display.show_evaluation(console, result.evaluation)
    display.show_changes(console, result.changes)
    display.show_paths(console, result.folder)
