"""Marks that say that an entry is in use; the system takes them away with the process that holds them."""

import os
import weakref
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

_MARKS = "use"
"""A folder of its own: a mark that comes or goes must not touch the time of the entry, which says when it was used."""


class UseMark:
    """In force until `release`, until nobody refers to it, or until its process ends, by whatever signal.

    Made and looked for under the guard of the cache alone: between making a file and locking it, a
    mark looks like one whose process is gone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        place = folder / _MARKS
        place.mkdir(mode=0o700, exist_ok=True)
        path = place / f"{uuid4().hex}.lock"
        lock = FileLock(path, thread_local=False)
        lock.acquire(blocking=False)
        self.release = weakref.finalize(self, _release, lock, path, os.getpid())


def is_marked(folder: Path) -> bool:
    """Whether a process uses the entry, this one included; marks whose process is gone are removed."""
    for path in (folder / _MARKS).glob("*.lock"):
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return True
        path.unlink(missing_ok=True)
        lock.release()
    return False


def _release(lock: FileLock, path: Path, owner: int) -> None:
    if os.getpid() != owner:  # a forked worker has a copy of the mark, but it is not its own
        return
    with suppress(OSError):  # the folder may be gone or read-only by now; the lock is what counts
        path.unlink()
    lock.release()
