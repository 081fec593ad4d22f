"""Reads the files that a run has left; a damaged one is told in a line."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from finetune.errors import InputError


def read_json(path: Path) -> dict[str, Any] | None:
    """The object that a JSON file holds; None without the file."""
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); the run is damaged. Remove the file to go on.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object; the run is damaged. Remove the file to go on.")
    return content


def read_table(path: Path) -> pd.DataFrame | None:
    """A table whose cells are text; None without the file."""
    if not path.is_file():
        return None
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="surrogateescape")
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path} is not a table ({error}); the run is damaged. Remove the file to go on.") from error


def read_numbers(path: Path) -> pd.DataFrame | None:
    """The same, in which a column that holds nothing but numbers is one of numbers."""
    table = read_table(path)
    if table is None:
        return None
    return table.assign(**{str(name): _as_numbers(table[name]) for name in table.columns})


def _as_numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    numbers = pd.to_numeric(column.mask(column == ""), errors="coerce")
    return numbers if bool((numbers.notna() | (column == "")).all()) else column
