"""Read a CSV table strictly: every fault is told with its line, nothing is guessed."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from data_tools.errors import DataError, faults_error


@dataclass(frozen=True)
class Table:
    """A header and its rows; each row knows the line of the file on which it ends."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    separator: str = ","


def read_table(path: Path) -> Table:
    """The rows of a UTF-8 table, every cell as the text it is ('NA' and '007' included).

    Cells are separated by commas, or, where the header holds none, by semicolons or tabs.
    """
    text = _read_text(path)
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    faults: list[str] = []
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        _check_header(path, columns)
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(columns):
                faults.append(f"line {reader.line_num}: {len(cells)} cells, the header has {len(columns)}")
            rows.append((reader.line_num, dict(zip(columns, cells, strict=False))))
    except csv.Error as error:
        raise DataError(f"{path.name}: line {reader.line_num}: {error}; is a quote left open?") from error
    if faults:
        raise faults_error(path.name, faults)
    if not rows:
        raise DataError(f"{path.name}: holds a header and no rows; list one image per line")
    return Table(path.name, columns, tuple(rows), separator)


def _separator(text: str) -> str:
    header = text.lstrip().partition("\n")[0]
    return "," if "," in header else next((sign for sign in ";\t" if sign in header), ",")


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path.name}: is encoded in UTF-16; save it as UTF-8")
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise DataError(f"{path.name}: line {line}: holds a NUL byte; save it as plain UTF-8 text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path.name}: line {line}: is not UTF-8 (Latin-1 or Windows-1252?); save it as UTF-8"
        ) from error


def _check_header(path: Path, columns: tuple[str, ...]) -> None:
    if not any(columns):
        raise DataError(f"{path.name}: is empty; expected a header such as path,label")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path.name}: column {twice[0]!r} stands in the header more than once; rename one")
