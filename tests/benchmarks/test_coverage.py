"""The intervals of shares hold the true share as often as they say: a sample of `python -m benchmarks.coverage`."""

import numpy as np
import pytest

from benchmarks.coverage.shares import bootstrap, draw_sets, exact_coverage, judge, ours, wilson


@pytest.mark.parametrize("images", [10, 20, 50, 84, 200])
def test_independent_images_are_covered_exactly(images: int) -> None:
    assert all(exact_coverage(images, share)[0] >= 0.95 for share in np.arange(0.01, 0.9901, 0.07))


def test_wilson_is_not_exact() -> None:
    assert exact_coverage(50, 0.99)[1] == pytest.approx(0.911, abs=0.001)


@pytest.mark.parametrize(
    ("patients", "images", "share", "correlation", "widest"),
    [(4, 20, 0.9, 0.5, 9), (10, 50, 0.5, 0.2, 1.35), (10, 50, 0.9, 0.8, 1.35), (20, 100, 0.9, 0.0, 1.2)]
    + [(40, 200, 0.5, 0.5, 1.15), (100, 500, 0.9, 0.5, 1.1), (4, 0, 0.99, 0.8, 9), (100, 0, 0.99, 0.0, 9)],
)
def test_images_of_patients_are_covered_without_waste(
    patients: int, images: int, share: float, correlation: float, widest: float
) -> None:
    hits, sizes = draw_sets(np.random.default_rng(1), 1000, patients, images, share, correlation)
    cell = judge(ours(hits, sizes), hits, sizes, share, correlation)
    assert cell.coverage >= 0.935 - 0.015  # two standard errors of a thousand sets
    assert cell.relative_width <= widest + 0.02


def test_the_usual_ways_fail() -> None:
    rng = np.random.default_rng(2)
    hits, sizes = draw_sets(rng, 1000, 10, 50, 0.9, 0.5)
    total = sizes.sum(axis=1)
    assert judge(wilson(hits.sum(axis=1) / total, total), hits, sizes, 0.9, 0.5).coverage <= 0.86
    assert judge(bootstrap(hits, sizes, rng), hits, sizes, 0.9, 0.5).coverage <= 0.85
