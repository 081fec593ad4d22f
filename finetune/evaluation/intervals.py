"""Confidence intervals: exact for counts, exact at an effective size for the rest."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

Floats = NDArray[np.float64]
NO_VARIANCE = 1e-18
_RESAMPLES = 2000
_LEAST_ERROR = 1e-9
"""Of a logarithm: below it is rounding."""


def clopper_pearson(successes: float, size: float, confidence: float) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper and Pearson, 1934); `successes` and `size` may be fractions."""
    tail = (1 - confidence) / 2
    low = 0.0 if successes <= 0 else float(betaincinv(successes, size - successes + 1, tail))
    high = 1.0 if successes >= size else float(betaincinv(successes + 1, size - successes, 1 - tail))
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
    if not math.isfinite(variance) or variance <= NO_VARIANCE or not 0 < share < 1:
        independent = min(fallback, size)
    else:
        independent = min(share * (1 - share) / variance, size)
    return independent * _freedom_factor(size, groups, confidence)


def _freedom_factor(size: float, groups: int, confidence: float) -> float:
    """The square of t with size - 1 over t with groups - 1 degrees of freedom, at most 1."""
    tail = (1 + confidence) / 2
    ratio = float(stdtrit(size - 1, tail) / stdtrit(groups - 1, tail))
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
    amount to, n^2 / sum(n_i^2). One group counts as one image. Parts of images stand for repeats: an image that is hit
    in one of two repeats is half a hit.
    """
    is_there = sizes > 0
    hits, sizes = hits[is_there], sizes[is_there]
    total, groups = float(sizes.sum()), len(sizes)
    if groups <= 1:
        return 1.0
    if bool((sizes <= 1).all()):
        return total
    share = float(hits.sum()) / total
    squares = float((sizes**2).sum())
    if share in (0.0, 1.0):
        return total**2 / squares
    variance = groups / (groups - 1) * float(((hits - share * sizes) ** 2).sum()) / total**2
    by_ratio = share * (1 - share) / variance if variance > NO_VARIANCE else total
    correlation = max(anova_correlation(hits, sizes), 0.0) if total > groups else 0.0
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
    differs from the others, or there are no losses. Where few groups lose much, the upper bound may be infinite.
    """
    mean = float(totals.sum() / sizes.sum())
    _, whole = _log_ratios(np.ones((1, len(sizes))), totals, sizes, mean)
    error = float(whole[0])
    if not error > _LEAST_ERROR:
        return None
    shifts, errors = _log_ratios(_resampled(len(sizes), seed), totals, sizes, mean)
    told = np.isfinite(shifts) & (errors > _LEAST_ERROR)
    tail = (1 - confidence) / 2
    low, high = np.quantile(shifts[told] / errors[told], [tail, 1 - tail])
    with np.errstate(over="ignore"):
        return mean * float(np.exp(-high * error)), mean * float(np.exp(-low * error))


def _resampled(groups: int, seed: int) -> Floats:
    """How often each resample drew each group: (resamples, groups)."""
    drawn = np.random.default_rng(seed).integers(0, groups, (_RESAMPLES, groups))
    drawn += groups * np.arange(_RESAMPLES)[:, np.newaxis]
    counted = np.bincount(drawn.ravel(), minlength=_RESAMPLES * groups)
    return counted.reshape(_RESAMPLES, groups).astype(np.float64)


def _log_ratios(times: Floats, totals: Floats, sizes: Floats, mean: float) -> tuple[Floats, Floats]:
    """Logarithm of total / size less that of `mean`, and its standard error by the delta method, of each resample.

    `times` says how often each group is in each: (resamples, groups). What is summed is the distance of a group's
    total from what `mean` makes it, lest two large numbers cancel.
    """
    groups = len(sizes)
    away = totals - mean * sizes
    columns = np.stack([away, sizes, away**2, away * sizes, sizes**2], axis=1)
    off, size, squares, products, size_squares = (times @ columns).T
    shift = off / size
    variance = groups / (groups - 1) * (squares - 2 * shift * products + shift**2 * size_squares) / size**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log1p(shift / mean), np.sqrt(np.maximum(variance, 0.0)) / (mean + shift)
