"""Intervals from intervals: against the published formulas, and where a bound is zero."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from finetune.evaluation import Metric, difference_of, mover
from finetune.evaluation.intervals import clopper_pearson


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


def share(hits: int, size: int, method: str) -> Metric:
    interval = binomtest(hits, size).proportion_ci(method=method)
    return Metric(hits / size, interval.low, interval.high, method, float(size))


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((5, 56), (0, 29), -0.0381, 0.1926),
    ],
)
def test_the_intervals_are_those_that_newcombe_printed(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    made = difference_of(share(*one, "wilson"), share(*other, "wilson"))
    assert made.low == pytest.approx(low, abs=5e-5)
    assert made.high == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(
    ("first", "second"), [((84, 0.93), (150, 0.8)), ((40, 0.5), (40, 0.9)), ((200, 0.99), (30, 0.9))]
)
def test_the_interval_covers_the_true_difference(first: tuple[int, float], second: tuple[int, float]) -> None:
    draws = np.random.default_rng(0)
    drawn = [draws.binomial(size, share, 1000) for size, share in (first, second)]
    covered = 0
    for hits, others in zip(*drawn, strict=True):
        metrics = [
            Metric(count / size, *clopper_pearson(count, size, 0.95), "exact", float(size))
            for count, (size, _) in zip((hits, others), (first, second), strict=True)
        ]
        made = difference_of(*metrics)
        assert made.low is not None
        assert made.high is not None
        covered += made.low <= first[1] - second[1] <= made.high
    assert covered / 1000 >= 0.95
