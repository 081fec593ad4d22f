"""Rows of an experiment become a table, and the table stands in its place on the page."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from benchmarks.results import Record, read_results

EXPERIMENT = "experiment"


def rows_of(path: Path, experiment: str) -> list[Record]:
    """The rows of one experiment, in their order."""
    return [row for row in read_results(path) if row[EXPERIMENT] == experiment]


def replace_rows(path: Path, experiment: str, rows: Iterable[Record]) -> None:
    """Write the rows of one experiment in place of those that `path` holds of it; experiments stand by name."""
    others = [row for row in read_results(path) if row[EXPERIMENT] != experiment]
    every = sorted([*others, *({EXPERIMENT: experiment, **row} for row in rows)], key=lambda row: str(row[EXPERIMENT]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in every), encoding="utf-8")


def compose_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all but the first column are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def put_table(text: str, experiment: str, table: str) -> str:
    """`text` with `table` between the two marks of its experiment.

    Raises click.ClickException where the marks are missing.
    """
    start, end = f"<!-- table: {experiment} -->", f"<!-- end: {experiment} -->"
    found = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not found.search(text):
        raise click.ClickException(f"the page has no place for the table of {experiment}: {start} ... {end}")
    return found.sub(lambda _: f"{start}\n{table}\n{end}", text, count=1)
