"""Results of benchmarks as JSON lines: one record a line, appended whole, so that a table is built up in pieces."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

Record = dict[str, Any]


def append_result(path: Path, record: Record) -> None:
    """Add `record` as the last line of `path`; it is on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, allow_nan=False, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_results(path: Path) -> list[Record]:
    """The records of `path` in their order; none where there is no such file.

    Raises click.ClickException naming the line that is not a record.
    """
    if not path.exists():
        return []
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            records.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise click.ClickException(f"{path}, line {number}: no JSON record ({error}); delete the line") from error
    return records


def is_recorded(records: Iterable[Record], wanted: Record) -> bool:
    """Whether a record agrees with `wanted` in all that `wanted` holds."""
    return any(all(record.get(key) == value for key, value in wanted.items()) for record in records)
