"""`finetune audit`: what is in the data, and what of it could mislead."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from finetune.cli.options import data_argument, recipe_from, recipe_options
from finetune.cli.process import importing
from finetune.cli.progress import ConsoleTrack


@click.command("audit")
@data_argument
@recipe_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder for dataset.csv, findings.csv and audit.html.")
@click.option("--write-manifest", "manifest", type=click.Path(path_type=Path), metavar="CSV", help="Usable images.")
@click.option("--preview", "is_previewed", is_flag=True, help="Draw what the recipe does to some training images.")
def command(data: Path, out: Path | None, manifest: Path | None, is_previewed: bool, **options: Any) -> None:
    """Look over DATA (a folder, or a CSV manifest): broken files, leaks, duplicates, shortcuts. Trains nothing.

    Exit code 0 whatever is found, unless the data cannot be read at all.
    """
    recipe = recipe_from(options)
    console = Console(soft_wrap=True)
    out = out or Path("audits") / (data.resolve().stem or "data")

    with importing():
        from finetune.cli import display
        from finetune.jobs.auditing import audit
        from finetune.jobs.data_settings import count_workers

        if is_previewed:
            from finetune.jobs.previewing import preview_drawer

    dataset = audit(
        data,
        recipe,
        out,
        manifest=manifest,
        draw_preview=preview_drawer(recipe) if is_previewed else None,
        workers=count_workers(recipe),
        track=ConsoleTrack(Console(stderr=True)),
    )
    display.show_dataset(console, dataset)
    console.print(f"Audit: {out / 'audit.html'}", markup=False, highlight=False)
    if manifest is not None:
        console.print(f"Manifest: {manifest}; go on with: finetune run {manifest}", markup=False, highlight=False)
