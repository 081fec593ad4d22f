"""Bands of curves hold the curve, and the true one as often as they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

from finetune.evaluation.bands import Band, precision_recall_band, roc_band
from finetune.evaluation.intervals import clopper_pearson
from tests.finetune.evaluation.test_ranking import rankings


@settings(max_examples=60, deadline=None)
@given(rankings())
def test_a_band_has_width_everywhere_and_stays_in_range(
    ranking: tuple[np.ndarray, np.ndarray, np.ndarray, int],
) -> None:
    positive = ranking[0]
    bands = [precision_recall_band(*ranking, 0.95)]
    if not positive.all():
        bands.append(roc_band(*ranking, 0.95))
    for band in bands:
        assert (band.low >= 0).all()
        assert (band.low < band.high).all()
        assert (band.high <= 1).all()


def test_a_band_is_the_box_of_a_cut_where_there_is_one_cut() -> None:
    """Scores of 0 and 1: one cut divides them; each of its shares has Clopper-Pearson's interval at 97.5 %."""
    positive = np.repeat([True, False], [20, 30])
    scores = np.concatenate([np.ones(15), np.zeros(5), np.ones(3), np.zeros(27)])
    band = roc_band(positive, scores, np.arange(50), 50, 0.95)
    at = int(np.flatnonzero(np.isclose(band.at, 0.1))[0])
    false_low, false_high = clopper_pearson(3.0, 30.0, 0.975)
    assert false_low < 0.1 < false_high
    none_called = clopper_pearson(0.0, 20.0, 0.975)  # its rate of 0 may be 0.1 too: 30 images tell no better
    assert clopper_pearson(0.0, 30.0, 0.975)[1] > 0.1
    assert (band.low[at], band.high[at]) == (none_called[0], pytest.approx(clopper_pearson(15.0, 20.0, 0.975)[1]))


def test_images_of_the_same_patients_tell_less() -> None:
    rng = np.random.default_rng(0)
    positive = np.repeat([True, False], 50)
    scores = np.repeat(rng.normal(size=20), 5) + positive + 0.1 * rng.normal(size=100)
    alone = roc_band(positive, scores, np.arange(100), 100, 0.95)
    together = roc_band(positive, scores, np.repeat(np.arange(20), 5), 20, 0.95)
    assert (together.high - together.low).mean() > 1.2 * (alone.high - alone.low).mean()


def test_many_images_give_a_narrow_band_that_holds_the_curve() -> None:
    rng = np.random.default_rng(1)
    positive = rng.random(20_000) < 0.5
    scores = rng.normal(size=20_000) + 1.5 * positive
    band = roc_band(positive, scores, np.arange(20_000), 20_000, 0.95)
    true = stats.norm.cdf(1.5 + stats.norm.ppf(band.at))
    assert ((band.low <= true) & (true <= band.high)).all()
    assert (band.high - band.low)[40:160].max() < 0.06


@pytest.mark.parametrize("images", [30, 120])
def test_the_true_curve_is_held_at_each_place(images: int) -> None:
    rng, held = np.random.default_rng(images), []
    for _ in range(300):
        positive = rng.random(images) < 0.4
        positive[:2] = True, False
        scores = rng.normal(size=images) + 1.5 * positive
        held.append(held_at(roc_band(positive, scores, np.arange(images), images, 0.95)))
    assert np.mean(held, axis=0).min() >= 0.95 - 0.02


def held_at(band: Band) -> list[bool]:
    true = stats.norm.cdf(1.5 + stats.norm.ppf(band.at))
    return [bool(band.low[place] <= true[place] <= band.high[place]) for place in (10, 40, 100)]
