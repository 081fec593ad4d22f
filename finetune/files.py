"""Writes files whole or not at all: aside first, then renamed."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.errors import EnvironmentFault

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A place to write to, which takes the place of `path` if nothing is raised, and is gone else."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield aside
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def replace_bytes(path: Path, content: bytes, *, is_synced: bool = True) -> None:
    """Write `content` to `path`; a reader sees the old file or the new one, never a part.

    What is not synced outlives the process, but may be torn by a power failure: for what has a checksum.

    Raises OSError when the disk is full or the place may not be written.
    """
    with written_aside(path) as aside, aside.open("wb") as file:
        file.write(content)
        file.flush()
        if is_synced:
            os.fsync(file.fileno())


def write_bytes(path: Path, content: bytes, *, is_synced: bool = True) -> None:
    """The same for a file of a run.

    Raises EnvironmentFault when the disk is full or the place may not be written.
    """
    try:
        replace_bytes(path, content, is_synced=is_synced)
    except OSError as error:
        raise unwritable(path, error.strerror) from error


def unwritable(path: Path, reason: object) -> EnvironmentFault:
    """The error for a file of a run that could not be written."""
    return EnvironmentFault(f"{path} cannot be written: {reason}. Free the disk or choose another --out.")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with the line ends it has."""
    write_bytes(path, text.encode("utf-8", errors="surrogateescape"))


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON; NaN is refused."""
    write_text(path, json_text(content))


def json_text(content: Any) -> str:
    """`content` as indented JSON; NaN is refused."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write `table` without its index, floats as short as they can be read back whole."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def file_sha256(path: Path) -> str:
    """Hex digest of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
