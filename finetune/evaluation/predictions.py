"""The predictions table: reads it, checks it, and says where it is wrong."""

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from finetune.errors import InputError

PATH, LABEL, GROUP, SPLIT, PREDICTED = "path", "label", "group", "split", "predicted"
FOLD, REPEAT = "fold", "repeat"
"""Columns of a cross-validation."""
REQUIRED_COLUMNS = (PATH, LABEL, PREDICTED)
SCORE_PREFIX = "score_"
CALIBRATED_PREFIX = "calibrated_"
"""Neither prefix begins the other, so no two classes share a column, whatever they are called."""
_FAULTS_SHOWN = 5


def score_column(label: str) -> str:
    """Name of the column that holds the score of class `label`."""
    return SCORE_PREFIX + label


def calibrated_column(label: str) -> str:
    """Name of the column that holds the calibrated score of class `label`; written for others, never read back."""
    return CALIBRATED_PREFIX + label


def labels_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Classes of a table: those of its score columns, in their order, or else those that its rows name, sorted."""
    scored = tuple(str(c)[len(SCORE_PREFIX) :] for c in predictions.columns if str(c).startswith(SCORE_PREFIX))
    return scored or tuple(sorted({*predictions[LABEL].astype(str), *predictions[PREDICTED].astype(str)}))


def read_predictions(path: Path) -> pd.DataFrame:
    """Read a predictions table; text stays text, scores are float64 to the last bit.

    A table without `group` or `split` gets "" and "test". Raises InputError naming
    the column or the line at fault, the first few faults at once.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = _numbered_rows(csv.reader(file), path)
            header = next(rows, (0, []))[1]
            _check_header(header, path)
            columns = _read_columns(rows, header, path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return _complete(pd.DataFrame(columns))


def normalise_predictions(predictions: pd.DataFrame) -> pd.DataFrame:
    """The same table as it would be read back from its file: scores as float64, group and split present."""
    missing = [column for column in REQUIRED_COLUMNS if column not in predictions.columns]
    if missing:
        raise InputError(f"the predictions table lacks the column {missing[0]!r}.")
    changed = {}
    for column in predictions.columns:
        values = predictions[column]
        if str(column).startswith(SCORE_PREFIX) and values.dtype != np.float64:
            changed[column] = np.array([float(str(value)) for value in values.to_numpy()])
    return _complete(predictions.assign(**changed).reset_index(drop=True))


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    if GROUP not in table.columns:
        table = table.assign(**{GROUP: ""})
    if SPLIT not in table.columns or not (table[SPLIT].astype(str) != "").any():
        table = table.assign(**{SPLIT: "test"})
    return table


def _numbered_rows(reader: Iterator[list[str]], path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of the line each begins on; blank lines are passed over."""
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1  # type: ignore[attr-defined]
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: not a CSV table ({error}).") from error


def _check_header(header: Sequence[str], path: Path) -> None:
    missing = [column for column in REQUIRED_COLUMNS if column not in header]
    if missing:
        seen = ", ".join(header[:8]) or "nothing"
        raise InputError(
            f"{path}: no column {missing[0]!r}; its header holds: {seen}. "
            "A predictions table has the columns path,label,group,split,predicted,score_<class>."
        )
    repeated = (
        sorted({column for column in header if header.count(column) > 1}) if len(set(header)) < len(header) else []
    )
    if repeated:
        raise InputError(f"{path}: the column {repeated[0]!r} stands twice in the header.")
    if SCORE_PREFIX in header:
        raise InputError(f"{path}: a column 'score_' names no class.")


def _read_columns(rows: Iterator[tuple[int, list[str]]], header: list[str], path: Path) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {column: [] for column in header}
    faults: list[str] = []
    is_score = [column.startswith(SCORE_PREFIX) for column in header]
    for line, row in rows:
        if len(row) != len(header):
            faults.append(f"line {line}: {len(row)} cells, the header has {len(header)}")
        else:
            for column, cell, score in zip(header, row, is_score, strict=True):
                columns[column].append(_read_cell(cell, column, score, line, faults))
        if len(faults) >= _FAULTS_SHOWN:
            break
    if faults:
        raise InputError(f"{path} has faults:\n  " + "\n  ".join(faults[:_FAULTS_SHOWN]))
    if not columns[PATH]:
        raise InputError(f"{path} holds a header and no rows; there is nothing to report.")
    return columns


def _read_cell(cell: str, column: str, is_score: bool, line: int, faults: list[str]) -> object:
    if not is_score:
        if not cell and column in (LABEL, PREDICTED):
            faults.append(f"line {line}, column {column!r}: empty")
        return cell
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        faults.append(f"line {line}, column {column!r}: {cell!r} is not a finite number")
    return number
