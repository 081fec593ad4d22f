"""Coverage of a share's interval: exact over independent images, simulated over images of patients."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.coverage.cells import CONFIDENCE, Cell, judge_bounds
from finetune.evaluation.intervals import clopper_pearson, share_interval

Floats = NDArray[np.float64]
IMAGES = (10, 20, 50, 84, 200)
DESIGNS = ((4, 20), (10, 50), (20, 100), (40, 200), (100, 500), (4, 0), (10, 0), (20, 0), (40, 0), (100, 0))
"""Patients and images; 0: each patient brings 1 to 10, drawn anew for each set."""
RECALLS = (0.5, 0.9, 0.99)
CORRELATIONS = (0.0, 0.2, 0.5, 0.8)
_RESAMPLES = 500


def exact_coverage(images: int, share: float) -> tuple[float, float]:
    """The probability that Clopper-Pearson's interval, and Wilson's, hold the share of so many independent images."""
    counts = np.arange(images + 1)
    chances = stats.binom.pmf(counts, images, share)
    others = wilson(counts / images, np.full(images + 1, float(images)))
    held = [(low <= share) & (share <= high) for low, high in (_exact_bounds(images), others)]
    return float(chances[held[0]].sum()), float(chances[held[1]].sum())


@cache
def _exact_bounds(images: int) -> tuple[Floats, Floats]:
    """Clopper-Pearson's interval of each count of so many images."""
    low, high = np.array([clopper_pearson(float(count), float(images), CONFIDENCE) for count in range(images + 1)]).T
    return low, high


def wilson(shares: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """Wilson's interval (1927)."""
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    middle = (shares + z**2 / (2 * sizes)) / (1 + z**2 / sizes)
    reach = z / (1 + z**2 / sizes) * np.sqrt(shares * (1 - shares) / sizes + z**2 / (4 * sizes**2))
    return middle - reach, middle + reach


def draw_sets(
    rng: np.random.Generator, sets: int, patients: int, images: int, share: float, correlation: float
) -> tuple[Floats, Floats]:
    """Hits and images of each patient: (sets, patients); beta-binomial, so that images of a patient correlate."""
    shape = (sets, patients)
    sizes = rng.integers(1, 11, shape) if images == 0 else np.full(shape, images // patients)
    own: Floats | float = share
    if correlation > 0:
        spread = (1 - correlation) / correlation
        own = rng.beta(share * spread, (1 - share) * spread, shape)
    return rng.binomial(sizes, own).astype(np.float64), sizes.astype(np.float64)


def ours(hits: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """Clopper-Pearson at the effective size of each set."""
    low, high, _ = np.array([share_interval(*one, CONFIDENCE) for one in zip(hits, sizes, strict=True)]).T
    return low, high


def bootstrap(hits: Floats, sizes: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Percentiles of a bootstrap over patients."""
    bounds = []
    for hit, size in zip(hits, sizes, strict=True):
        drawn = rng.integers(0, len(hit), (_RESAMPLES, len(hit)))
        bounds.append(np.quantile(hit[drawn].sum(axis=1) / size[drawn].sum(axis=1), [0.025, 0.975]))
    low, high = np.array(bounds).T
    return low, high


def judge(bounds: tuple[Floats, Floats], hits: Floats, sizes: Floats, share: float, correlation: float) -> Cell:
    """What intervals of many sets did."""
    low, high = bounds
    total = sizes.sum(axis=1)
    effective = total / (1 + correlation * ((sizes**2).sum(axis=1) / total - 1))
    shares = hits.sum(axis=1) / total
    ideal = np.array(
        [clopper_pearson(one * size, size, CONFIDENCE) for one, size in zip(shares, effective, strict=True)]
    )
    least = float((ideal[:, 1] - ideal[:, 0]).mean())
    return replace(judge_bounds(low, high, share), relative_width=float((high - low).mean()) / least)


def grouped_cells(sets: int, seed: int) -> Iterator[tuple[str, Cell]]:
    """Every cell of the table, with its name; each of a seed of its own."""
    number = 0
    for patients, images in DESIGNS:
        for share in RECALLS:
            for correlation in CORRELATIONS:
                rng = np.random.default_rng([seed, number])
                hits, sizes = draw_sets(rng, sets, patients, images, share, correlation)
                name = f"| {images or '1 to 10 each'} | {patients} | {share} | {correlation} |"
                yield f"{name} ours", judge(ours(hits, sizes), hits, sizes, share, correlation)
                if images and correlation == 0.5:
                    total = sizes.sum(axis=1)
                    plain = wilson(hits.sum(axis=1) / total, total)
                    yield f"{name} Wilson over images", judge(plain, hits, sizes, share, correlation)
                    drawn = bootstrap(hits, sizes, rng)
                    yield f"{name} bootstrap over patients", judge(drawn, hits, sizes, share, correlation)
                number += 1
