"""A wish to stop that comes at a chosen moment."""

import signal

from finetune.interrupts import StopRequest


class StopAt(StopRequest):
    """Someone who asks for an end at the n-th look."""

    def __init__(self, look: int) -> None:
        self.looks, self.look = 0, look

    @property
    def signal(self) -> int | None:
        self.looks += 1
        return int(signal.SIGTERM) if self.looks >= self.look else None
