"""Intervals from intervals: against the published formulas, and where a bound is zero."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.evaluation import mover


@st.composite
def estimates(draw: st.DrawFn, least: float = 0.0) -> tuple[float, float, float]:
    low, value, high = sorted(draw(st.lists(st.floats(least, 1), min_size=3, max_size=3)))
    return value, low, high


@given(estimates(0.01), estimates(0.01))
def test_the_ratio_is_that_of_donner_and_zou(
    above: tuple[float, float, float], below: tuple[float, float, float]
) -> None:
    (a, a_low, a_high), (b, b_low, b_high) = above, below
    if abs(b_high * (2 * b - b_high)) < 1e-6:
        return
    published = [
        (a * b - math.sqrt(max((a * b) ** 2 - a_low * b_high * (2 * a - a_low) * (2 * b - b_high), 0)))
        / (b_high * (2 * b - b_high)),
        (a * b + math.sqrt(max((a * b) ** 2 - a_high * b_low * (2 * a - a_high) * (2 * b - b_low), 0)))
        / (b_low * (2 * b - b_low)),
    ]
    found = mover.ratio(above, below)
    assert found == pytest.approx(published, rel=1e-6, abs=1e-9)
    assert found[0] <= a / b * (1 + 1e-9)
    assert found[1] >= a / b * (1 - 1e-9)


def test_a_rate_that_may_be_zero_gives_no_upper_end() -> None:
    low, high = mover.ratio((0.9, 0.8, 0.95), (0.0, 0.0, 0.1))
    assert math.isinf(high)
    assert low == pytest.approx(math.sqrt(0.8 * (1.8 - 0.8)) / 0.1)


@given(estimates(), estimates())
def test_a_difference_holds_its_value_and_turns_with_its_sides(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> None:
    low, high = mover.difference(first, second)
    assert low <= first[0] - second[0] <= high
    assert mover.difference(second, first) == pytest.approx((-high, -low))


def test_a_sum_of_one_is_that_one() -> None:
    one = mover.weighted_sum(np.array([0.5, 0.3]), np.array([0.4, 0.2]), np.array([0.7, 0.9]), np.array([1.0, 0.0]))
    assert one == pytest.approx((0.4, 0.7))
