"""When a further checkpoint is due: so that writing them takes a small part of the time, however large they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

SAVE_SHARE = 0.02
"""Part of the time that may go into checkpoints of epochs; what a kill then costs is fifty times what one takes."""


class SavePace:
    """Looks at what the last checkpoint took, and at what has been done since.

    Only how much is lost by a kill depends on the clock, never what a resumed run ends in.
    """

    def __init__(self, share: float, clock: Callable[[], float] = perf_counter) -> None:
        self._share, self._clock = share, clock
        self._taken, self._done_at = 0.0, clock()

    def is_due(self) -> bool:
        """Whether one more would still leave the checkpoints their share of the time."""
        return self._taken / self._share <= self._clock() - self._done_at

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Note what the block, which writes a checkpoint, takes."""
        started = self._clock()
        yield
        self._done_at = self._clock()
        self._taken = self._done_at - started
