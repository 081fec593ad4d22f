"""`finetune demo`: the main job on embedded real data and weights."""

import sys
from pathlib import Path

import click
from rich.console import Console

from finetune.cli.process import importing
from finetune.cli.progress import ConsoleTrack, sayer


@click.command("demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/demo"), show_default=True, help="Folder.")
def command(out: Path) -> None:
    """Train on real handwritten digits with real ImageNet weights; needs the extra `demo`, and no network."""
    console = Console(soft_wrap=True)

    with importing():
        from finetune.cli import display
        from finetune.jobs.demo import ABOUT, run_demo

    console.print(ABOUT, highlight=False)
    track = ConsoleTrack(Console(stderr=True))
    result = run_demo(out, command=["finetune", *sys.argv[1:]], track=track, say=sayer(console))
    display.show_result(console, result)
