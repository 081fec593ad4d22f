"""Seconds of each part of a job, by name."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

Item = TypeVar("Item")


class Stopwatch:
    """Adds up wall seconds under names; `total` runs from its creation."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._started = perf_counter()

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the seconds of the block to `name`."""
        started = perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += perf_counter() - started

    def waiting(self, items: Iterable[Item], name: str) -> Iterator[Item]:
        """Hand `items` through, adding the seconds spent waiting for each to `name`."""
        iterator = iter(items)
        while True:
            with self.measure(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def seconds(self) -> dict[str, float]:
        """All sums so far, and `total`."""
        return {**self._seconds, "total": perf_counter() - self._started}
