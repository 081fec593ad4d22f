"""A wish to stop, from the keyboard or the system, heard at the next safe place."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from finetune.errors import TailtuneError
from finetune.progress import Track

Item = TypeVar("Item")


class Interrupted(TailtuneError):  # noqa: N818, it is no error
    """The job was asked to stop and did so at a safe place; `exit_code` is 128 plus the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__("Stopped as asked; what is computed is kept. The same command with --resume goes on.")
        self.exit_code = 128 + number


class StopRequest:
    """Whether someone asked the job to stop."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def check(self) -> None:
        """Raise Interrupted if someone did."""
        if self.signal is not None:
            raise Interrupted(self.signal)

    def tracked(self, track: Track) -> Track:
        """`track`, and a look for the wish after every item."""

        def follow(items: Iterable[Item], description: str, total: int, /) -> Iterator[Item]:
            self.check()
            for item in track(items, description, total):
                yield item
                self.check()

        return follow


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a wish; a second one acts at once, as if nobody listened."""
    request = StopRequest()
    earlier = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        request.signal = number
        for one, handler in earlier.items():
            signal.signal(one, handler)

    for number in earlier:
        signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
