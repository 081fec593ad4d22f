"""Checkpoints take their share of the time and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.checkpoint import SavePace


class Clock:
    """Tells the seconds that it was put forward."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def write(pace: SavePace, clock: Clock, seconds: float) -> None:
    with pace.measured():
        clock.seconds += seconds


def test_the_first_is_due_at_once_and_the_next_when_twenty_times_its_seconds_are_worked() -> None:
    clock = Clock()
    pace = SavePace(0.05, clock)
    assert pace.is_due()
    write(pace, clock, 0.5)
    clock.seconds += 9.5
    assert not pace.is_due()
    clock.seconds += 0.5
    assert pace.is_due()


@given(
    epochs=st.lists(st.tuples(st.floats(0.01, 60), st.floats(0.001, 30)), min_size=1, max_size=40),
    share=st.floats(0.01, 1),
)
def test_all_but_the_last_take_at_most_their_share_of_the_work_between_them(
    epochs: list[tuple[float, float]], share: float
) -> None:
    clock = Clock()
    pace = SavePace(share, clock)
    work, written, since = 0.0, [0.0], [0.0]
    for seconds, cost in epochs:
        clock.seconds += seconds
        since[-1] += seconds
        work += seconds
        if pace.is_due():
            write(pace, clock, cost)
            written.append(cost)
            since.append(0.0)
    for taken, worked in zip(written[1:-1], since[1:-1], strict=True):
        assert taken <= share * worked * (1 + 1e-6)
    assert sum(written[:-1]) <= share * work * (1 + 1e-6)


def test_what_could_not_be_written_leaves_the_pace_as_it_was() -> None:
    clock = Clock()
    pace = SavePace(0.05, clock)
    with pytest.raises(OSError, match="full"):
        fail(pace, clock)
    assert pace.is_due()


def fail(pace: SavePace, clock: Clock) -> None:
    with pace.measured():
        clock.seconds += 100
        raise OSError("full")
