"""Confidence intervals: exact for counts, exact at an effective size for the rest."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
_NO_VARIANCE = 1e-18


def clopper_pearson(successes: float, size: float, confidence: float) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper and Pearson, 1934); `successes` and `size` may be fractions."""
    tail = (1 - confidence) / 2
    low = 0.0 if successes <= 0 else float(stats.beta.ppf(tail, successes, size - successes + 1))
    high = 1.0 if successes >= size else float(stats.beta.ppf(1 - tail, successes + 1, size - successes))
    share = successes / size
    return min(max(low, 0.0), share), max(min(high, 1.0), share)


def jackknife_variance(replicates: Any) -> Any:
    """Variance of a statistic from its values with each group left out in turn (first axis).

    Replicates that are NaN (the statistic does not exist without that group) are left aside;
    with fewer than two that exist the variance is NaN.
    """
    values = np.asarray(replicates, dtype=np.float64)
    exists = np.isfinite(values)
    count = exists.sum(axis=0)
    safe_count = np.maximum(count, 1)
    mean = np.where(exists, values, 0.0).sum(axis=0) / safe_count
    squares = np.where(exists, (values - mean) ** 2, 0.0).sum(axis=0)
    return np.where(count >= 2, squares * (safe_count - 1) / safe_count, np.nan)


def effective_size(
    share: float, variance: float, size: float, groups: int, fallback: float, confidence: float
) -> float:
    """How many independent images tell as much about `share` as these do (after Korn and Graubard, 1998).

    `fallback` stands in where the jackknife sees no variance: at a share of 0 or 1,
    or where too few groups are left.
    """
    if groups <= 1 or size <= 1:
        return 1.0
    if not math.isfinite(variance) or variance <= _NO_VARIANCE:
        independent = min(fallback, size)
    else:
        independent = min(share * (1 - share) / variance, size)
    tail = (1 + confidence) / 2
    ratio = float(stats.t.ppf(tail, size - 1) / stats.t.ppf(tail, groups - 1))
    return independent * min(ratio, 1.0) ** 2


def student_interval(value: float, variance: float, groups: int, confidence: float) -> tuple[float, float] | None:
    """value +- t * standard error, cut at 0; None where the groups do not differ or are fewer than two."""
    if groups < 2 or not math.isfinite(variance) or variance <= _NO_VARIANCE:
        return None
    reach = float(stats.t.ppf((1 + confidence) / 2, groups - 1)) * math.sqrt(variance)
    return max(0.0, value - reach), value + reach
