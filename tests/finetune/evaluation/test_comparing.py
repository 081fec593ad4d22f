"""Differences of independent metrics: published numbers, signs, coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from finetune.evaluation import Metric, difference_of
from finetune.evaluation.intervals import clopper_pearson
from finetune.evaluation.result import undefined


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


ends = st.floats(0, 1)


@given(st.tuples(ends, ends, ends).map(sorted), st.tuples(ends, ends, ends).map(sorted))
def test_the_interval_holds_the_difference_and_turns_with_it(one: list[float], other: list[float]) -> None:
    first, second = (Metric(value, low, high, "m", 1.0) for low, value, high in (one, other))
    made, turned = difference_of(first, second), difference_of(second, first)
    assert made.low is not None
    assert made.high is not None
    assert made.value == one[1] - other[1]
    assert -1 - 1e-12 <= made.low <= made.value <= made.high <= 1 + 1e-12
    assert turned.value == -made.value
    assert math.isclose(turned.low or 0.0, -made.high, abs_tol=1e-15)


def test_what_has_no_value_has_no_difference_and_says_why() -> None:
    whole, bare = Metric(0.5, 0.4, 0.6, "m", 1.0), Metric(0.1, None, None, "bins", 9.0, "no honest interval")
    for pair in ((whole, undefined("no images")), (undefined("no images"), whole)):
        assert difference_of(*pair) == undefined("no images")
    assert difference_of(whole, bare) == Metric(0.4, None, None, None, None, "no honest interval")
    assert difference_of(bare, whole) == Metric(-0.4, None, None, None, None, "no honest interval")


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
