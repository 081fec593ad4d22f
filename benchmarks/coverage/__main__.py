"""How often the intervals of a report hold the true value.

    python -m benchmarks.coverage exact
    python -m benchmarks.coverage grouped --sets 10000 --seed 0
    python -m benchmarks.coverage classes --sets 2000 --seed 0
    python -m benchmarks.coverage losses --sets 2000 --seed 0
    python -m benchmarks.coverage all

`exact`: shares of independent images, by adding up the binomial probabilities of the counts whose interval holds the
share. `grouped`: beta-binomial sets of images in patients, with a correlation within patients; beside ours two ways
that fail: Wilson over images, and percentiles of a bootstrap over patients. A width is told as a multiple of that of
Clopper-Pearson at the true design effect. `classes`: balanced accuracy, ROC area, macro F1 and MCC of the sets that
`models.py` draws. `losses`: log loss and Brier score of the same. `all`: the four, one after the other.
"""

from collections.abc import Iterator

import click
import numpy as np

from benchmarks.coverage import classes as averages
from benchmarks.coverage import shares
from benchmarks.coverage.cells import Cell


@click.group()
def command() -> None:
    """Coverage of the intervals that reports hold."""


@command.command()
def exact() -> None:
    """Independent images, by enumeration: the least coverage over shares from 0.01 to 0.99."""
    click.echo("| images | Clopper-Pearson, least | Wilson, least |\n|---|---|---|")
    for images in shares.IMAGES:
        found = [shares.exact_coverage(images, share) for share in np.arange(0.01, 0.9901, 0.005)]
        least = [min(column) for column in zip(*found, strict=True)]
        click.echo(f"| {images} | {least[0]:.4f} | {least[1]:.4f} |")


@command.command()
@click.option("--sets", type=int, default=10_000, show_default=True, help="In each cell.")
@click.option("--seed", type=int, default=0, show_default=True)
def grouped(sets: int, seed: int) -> None:
    """Beta-binomial images of patients."""
    _show_header(
        "| images | patients | recall | correlation | interval | coverage | too high | too low | width | x ideal |"
    )
    for name, cell in shares.grouped_cells(sets, seed):
        click.echo(f"{name} | {cell.told()} |")


@command.command()
@click.option("--sets", type=int, default=2000, show_default=True, help="In each cell.")
@click.option("--seed", type=int, default=0, show_default=True)
def classes(sets: int, seed: int) -> None:
    """Balanced accuracy, ROC area, macro F1 and MCC."""
    _show(averages.average_cells(sets, seed))


@command.command()
@click.option("--sets", type=int, default=2000, show_default=True, help="In each cell.")
@click.option("--seed", type=int, default=0, show_default=True)
def losses(sets: int, seed: int) -> None:
    """Log loss and Brier score."""
    _show(averages.loss_cells(sets, seed))


@command.command(name="all")
@click.pass_context
def everything(context: click.Context) -> None:
    """Every table, each with as many sets as it has by itself."""
    for one in (exact, grouped, classes, losses):
        click.echo(f"\n{one.name}\n")
        context.invoke(one)


def _show(cells: Iterator[tuple[str, str, float, Cell]]) -> None:
    """Each cell as soon as it is known, and the least of each metric and size at the end."""
    _show_header(averages.HEADER)
    seen = []
    for row in cells:
        click.echo(averages.as_row(*row))
        seen.append(row)
    click.echo("\nOf each metric and size, the cell that covers least:\n")
    _show_header(averages.HEADER)
    for line in averages.least_coverage(seen):
        click.echo(line)


def _show_header(header: str) -> None:
    click.echo(header)
    click.echo("|---" * (header.count("|") - 1) + "|")


if __name__ == "__main__":
    command()
