"""Intervals of sums, differences and ratios of independent estimates, recovered from their own intervals (MOVER)."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def weighted_sum(values: Floats, lows: Floats, highs: Floats, weights: Floats) -> tuple[float, float]:
    """Interval of sum(w x), weights not negative (Zou and Donner, 2008)."""
    total = float((weights * values).sum())
    below = math.sqrt(float(((weights * (values - lows)) ** 2).sum()))
    above = math.sqrt(float(((weights * (highs - values)) ** 2).sum()))
    return total - below, total + above


def difference(first: tuple[float, float, float], second: tuple[float, float, float]) -> tuple[float, float]:
    """Interval of first - second, each given as (value, low, high) (Newcombe, 1998; Zou and Donner, 2008)."""
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    return a - b - math.hypot(a - a_low, b_high - b), a - b + math.hypot(a_high - a, b - b_low)


def ratio(above: tuple[float, float, float], below: tuple[float, float, float]) -> tuple[float, float]:
    """Interval of above / below, each given as (value, low, high), none negative (Donner and Zou, 2012).

    The upper end is infinite where `below` may be 0; both values must not be 0.
    """
    (a, a_low, a_high), (b, b_low, b_high) = above, below
    product = a * b
    from_low, from_high = a_low * (2 * a - a_low), a_high * (2 * a - a_high)
    to_low, to_high = b_low * (2 * b - b_low), b_high * (2 * b - b_high)
    reach = product + math.sqrt(max(product**2 - from_low * to_high, 0.0))
    low = from_low / reach if reach > 0 else a_low / b_high
    high = (product + math.sqrt(max(product**2 - from_high * to_low, 0.0))) / to_low if to_low > 0 else math.inf
    return max(low, 0.0), high
