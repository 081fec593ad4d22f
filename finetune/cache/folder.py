"""The folder of the cache: its guard, its budget, and what is removed when."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from data_tools.private import make_private_folder
from finetune.cache.entries import Entry, Kind, bytes_below, read_entries
from finetune.cache.marks import UseMark
from finetune.errors import EnvironmentFault


@dataclass(frozen=True)
class Cleaning:
    """What was removed, and what was asked for but is in use."""

    removed: tuple[Entry, ...]
    kept: tuple[Entry, ...]


def default_cache_folder() -> Path:
    """`$TAILTUNE_CACHE`, or the user's cache folder."""
    chosen = os.environ.get("TAILTUNE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(base) / "tailtune"


def default_budget(free_bytes: int, kept_bytes: int) -> int:
    """The smaller of 10 GB and a fifth of the disk that would be free without what is kept.

    A fifth of what is free now would shrink as the cache grows: the same command might find room
    before its features are written and none after, and end in other bytes.
    """
    return min(10 * 10**9, (free_bytes + kept_bytes) // 5)


class CacheFolder:
    """Entries that several processes share below `root`.

    One lock, the guard, is held for moments only: while an entry is marked as in use, and while
    entries are looked through and removed. So what is marked is never removed, and what is
    removed was marked by nobody.
    """

    def __init__(self, root: Path, budget_bytes: int | None = None) -> None:
        self.root, self.budget_bytes = root, budget_bytes

    def entries(self) -> list[Entry]:
        """All entries, by kind and key.

        Raises EnvironmentFault when the folder cannot be looked through.
        """
        if not self.root.exists():
            return []
        with self._faults(), self._guard():
            return read_entries(self.root)

    def hold(self, kind: Kind, key: str) -> UseMark:
        """Make the folder of an entry where there is none, and mark it as in use, and as used now.

        Raises OSError when the folder cannot be written.
        """
        folder = self.root / kind / key
        with self._guard():
            make_private_folder(folder)
            os.utime(folder)
            return UseMark(folder)

    def budget(self) -> int:
        """Bytes that all entries may take: what was set, or what `default_budget` gives."""
        if self.budget_bytes is not None:
            return self.budget_bytes
        existing = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        return default_budget(shutil.disk_usage(existing).free, bytes_below(self.root))

    def make_room(self, size_bytes: int, folder: Path) -> None:
        """Remove entries until `folder`, which is in use, may grow to a size within the budget.

        What was begun and not ended goes first, then what was used longest ago. Entries in use stay,
        so the budget can be passed while several runs go on at once.

        Raises OSError when something cannot be removed.
        """
        with self._guard():
            entries = read_entries(self.root)
            total = sum(entry.bytes for entry in entries if entry.folder != folder) + size_bytes
            budget = self.budget()
            for entry in sorted(entries, key=lambda entry: (entry.is_whole, entry.last_used)):
                if total <= budget:
                    return
                if not entry.in_use:
                    shutil.rmtree(entry.folder)
                    total -= entry.bytes

    def clean(self, is_chosen: Callable[[Entry], bool]) -> Cleaning:
        """Remove the chosen entries that nobody uses.

        Raises EnvironmentFault when one cannot be removed.
        """
        if not self.root.exists():
            return Cleaning((), ())
        with self._faults(), self._guard():
            chosen = [entry for entry in read_entries(self.root) if is_chosen(entry)]
            removed = tuple(entry for entry in chosen if not entry.in_use)
            for entry in removed:
                shutil.rmtree(entry.folder)
        return Cleaning(removed, tuple(entry for entry in chosen if entry.in_use))

    @contextmanager
    def _guard(self) -> Iterator[None]:
        make_private_folder(self.root)
        with FileLock(self.root / ".lock"):
            yield

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EnvironmentFault(
                f"{self.root} cannot be read and changed: {error.strerror}. "
                "Set TAILTUNE_CACHE to a folder that you may write."
            ) from error
