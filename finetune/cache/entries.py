"""The entries of a cache folder, as they lie on disk.

<root>/features/<key>/   about.json, build.lock, 00000.bin + 00000.json (a shard and its checksum), ..., use/
<root>/pixels/<key>/     files of any name, about.json with a "description" if there is one, use/
<root>/<key>/, .<key>.<pid>.tmp/    left by an earlier version, read by none
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from finetune.cache.marks import is_marked

Kind = Literal["features", "pixels", "remains"]
ABOUT = "about.json"
RECORD = re.compile(r"\d{5}\.json")
_OLD = re.compile(r"[0-9a-f]{64}|\.[0-9a-f]{64}\.\d+\.tmp")
_OLD_FILES = ("checksums.json", "00.npy")
_UNTOLD = {"features": "features, begun", "pixels": "decoded pixels", "remains": "left by an earlier version"}


@dataclass(frozen=True)
class Entry:
    """One folder of the cache; `last_used` in seconds since 1970; what is not whole can still be gone on with."""

    kind: Kind
    key: str
    bytes: int
    last_used: float
    description: str
    in_use: bool
    is_whole: bool
    folder: Path


def read_entries(root: Path) -> list[Entry]:
    """All entries, by kind and key; nothing else below `root` is looked at."""
    return [_read_entry(kind, folder) for kind, folder in _folders(root)]


def bytes_below(root: Path) -> int:
    """Size of all entries; asks nobody whether they are in use."""
    return sum(_size_of(folder) for _, folder in _folders(root))


def _folders(root: Path) -> Iterator[tuple[Kind, Path]]:
    kinds: tuple[Kind, ...] = ("features", "pixels")
    for kind in kinds:
        yield from ((kind, folder) for folder in sorted((root / kind).glob("*")) if folder.is_dir())
    for folder in sorted(root.glob("*")):
        # any folder can be named as the cache: what is removed must look like ours by name and by content
        if _OLD.fullmatch(folder.name) and any((folder / name).exists() for name in _OLD_FILES):
            yield "remains", folder


def _read_entry(kind: Kind, folder: Path) -> Entry:
    about = _read_about(folder)
    records = sum(1 for file in folder.iterdir() if RECORD.fullmatch(file.name)) if kind == "features" else 0
    return Entry(
        kind=kind,
        key=folder.name,
        bytes=_size_of(folder),
        last_used=folder.stat().st_mtime,
        description=str(about.get("description", _UNTOLD[kind])),
        in_use=is_marked(folder),
        is_whole=kind == "pixels" or (kind == "features" and records == about.get("shards")),
        folder=folder,
    )


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _size_of(folder: Path) -> int:
    """Bytes of the files below `folder`; what another process removes meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total
