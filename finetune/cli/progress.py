"""Progress bars on a terminal, plain lines elsewhere; sentences as they are."""

import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from finetune.progress import Say

Item = TypeVar("Item")


def sayer(console: Console) -> Say:
    """Prints the library's sentences letter by letter: brackets in a file's name are no markup."""
    return partial(console.print, markup=False, highlight=False)


class ConsoleTrack:
    """Follows an iterable with a bar, or with a line when it ends where nobody watches live."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __call__(self, items: Iterable[Item], description: str, total: int, /) -> Iterator[Item]:
        """Hand `items` through."""
        if not self.console.is_terminal:
            started, count = time.perf_counter(), 0
            for item in items:
                yield item
                count += 1
            self.console.print(f"{description}: {count} of {total} in {time.perf_counter() - started:.1f} s")
            return
        columns = (
            TextColumn("{task.description:<16}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, TimeRemainingColumn(), console=self.console) as progress:
            yield from progress.track(items, total, description=description)  # moves ten times a second
