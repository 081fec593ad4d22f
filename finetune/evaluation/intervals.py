"""Confidence intervals: exact for counts, exact at an effective size for the rest."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
_NO_VARIANCE = 1e-18
_RESAMPLES = 2000
_LEAST_ERROR = 1e-9
"""Of a logarithm: below it is rounding."""


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
    if not math.isfinite(variance) or variance <= _NO_VARIANCE or not 0 < share < 1:
        independent = min(fallback, size)
    else:
        independent = min(share * (1 - share) / variance, size)
    return independent * _freedom_factor(size, groups, confidence)


def _freedom_factor(size: float, groups: int, confidence: float) -> float:
    """The square of t with size - 1 over t with groups - 1 degrees of freedom, at most 1."""
    tail = (1 + confidence) / 2
    ratio = float(stats.t.ppf(tail, size - 1) / stats.t.ppf(tail, groups - 1))
    return min(ratio, 1.0) ** 2


def share_interval(hits: Floats, sizes: Floats, confidence: float) -> tuple[float, float, float]:
    """Bounds of the share of `hits` among `sizes`, both by group, and the effective size at which they are exact."""
    share, size = float(hits.sum() / sizes.sum()), grouped_size(hits, sizes, confidence)
    return *clopper_pearson(share * size, size, confidence), size


def grouped_size(hits: Floats, sizes: Floats, confidence: float) -> float:
    """How many independent images tell as much about a share as groups with `hits` of `sizes` images do.

    The smallest of three: by the variance of the ratio estimator, by the intraclass correlation of an analysis of
    variance, and the images; times the square of t with n - 1 over t with G - 1 degrees of freedom (Korn and Graubard,
    1998).
    At a share of 0 or 1 neither of the first two can be had: there it is what images that are all alike within a group
    amount to, n^2 / sum(n_i^2). One group counts as one image.
    """
    is_there = sizes > 0
    hits, sizes = hits[is_there], sizes[is_there]
    total, groups = float(sizes.sum()), len(sizes)
    if groups <= 1:
        return 1.0
    if total == groups:
        return total
    share = float(hits.sum()) / total
    squares = float((sizes**2).sum())
    if share in (0.0, 1.0):
        return total**2 / squares
    variance = groups / (groups - 1) * float(((hits - share * sizes) ** 2).sum()) / total**2
    by_ratio = share * (1 - share) / variance if variance > _NO_VARIANCE else total
    correlation = max(anova_correlation(hits, sizes), 0.0)
    by_correlation = total / (1 + correlation * (squares / total - 1))
    return min(by_ratio, by_correlation, total) * _freedom_factor(total, groups, confidence)


def anova_correlation(hits: Floats, sizes: Floats) -> float:
    """The intraclass correlation of yes and no within groups, from a one-way analysis of variance.

    (MSB - MSW) / (MSB + (n_0 - 1) MSW), n_0 = (n - sum(n_i^2) / n) / (G - 1); needs two groups, and one of two images.
    """
    total, groups = float(sizes.sum()), len(sizes)
    shares, share = hits / sizes, float(hits.sum()) / total
    between = float((sizes * (shares - share) ** 2).sum()) / (groups - 1)
    within = float((sizes * shares * (1 - shares)).sum()) / (total - groups)
    typical = (total - float((sizes**2).sum()) / total) / (groups - 1)
    spread = between + (typical - 1) * within
    return (between - within) / spread if spread > 0 else 0.0


def mean_of_shares(shares: Floats, lows: Floats, highs: Floats) -> tuple[float, float]:
    """Interval of the plain mean of independent shares from their own (MOVER; Zou and Donner, 2008)."""
    mean, count = float(shares.mean()), len(shares)
    low = mean - math.sqrt(float(((shares - lows) ** 2).sum())) / count
    high = mean + math.sqrt(float(((highs - shares) ** 2).sum())) / count
    return max(low, 0.0), min(high, 1.0)


def log_bootstrap_interval(
    totals: Floats, sizes: Floats, confidence: float, seed: int = 0
) -> tuple[float, float] | None:
    """Interval of a mean of losses, from the sums and sizes of groups: bootstrap-t over groups, of the logarithm.

    Efron and Tibshirani (1993), chapter 12; the standard error is that of the ratio estimator. None where no group
    differs from the others, or there are no losses.
    """
    mean, error = _log_ratio(totals, sizes)
    if not (math.isfinite(float(mean)) and float(error) > _LEAST_ERROR):
        return None
    drawn = np.random.default_rng(seed).integers(0, len(sizes), (_RESAMPLES, len(sizes)))
    means, errors = _log_ratio(totals[drawn], sizes[drawn])
    with np.errstate(divide="ignore", invalid="ignore"):
        studentised = (means - mean) / errors
    tail = (1 - confidence) / 2
    low, high = np.quantile(studentised[np.isfinite(studentised)], [tail, 1 - tail])
    return math.exp(float(mean - high * error)), math.exp(float(mean - low * error))


def _log_ratio(totals: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """Logarithm of total / size, and its standard error by the delta method; groups are the last axis."""
    groups = sizes.shape[-1]
    total, size = totals.sum(axis=-1, keepdims=True), sizes.sum(axis=-1, keepdims=True)
    ratio = total / size
    variance = groups / (groups - 1) * ((totals - ratio * sizes) ** 2).sum(axis=-1) / size[..., 0] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(ratio[..., 0]), np.sqrt(variance) / ratio[..., 0]
