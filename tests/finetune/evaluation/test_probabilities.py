"""What calibration error true confidences are expected to show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.evaluation.probabilities import calibration_error, count_distribution, expected_calibration_error
from tests.finetune.evaluation.drawn_tables import evaluate, make_table


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_counts_are_distributed_as_one_trial_after_the_other_makes_them(chances: list[float]) -> None:
    slow = np.array([1.0])
    for chance in chances:
        slow = np.convolve(slow, [1 - chance, chance])
    assert count_distribution(np.array(chances)) == pytest.approx(slow, abs=1e-13)


@pytest.mark.parametrize("images", [1, 30, 500])
def test_the_expected_error_is_the_mean_over_answers_drawn_at_the_confidences(images: int) -> None:
    rng = np.random.default_rng(images)
    confidence = rng.uniform(0.3, 1, images)
    drawn = [calibration_error(confidence, rng.random(images) < confidence) for _ in range(4000)]
    error = float(np.std(drawn)) / np.sqrt(len(drawn))
    assert abs(expected_calibration_error(confidence) - np.mean(drawn)) < 4 * error


def test_sure_answers_are_expected_to_show_no_error() -> None:
    assert expected_calibration_error(np.ones(50)) == pytest.approx(0.0, abs=1e-12)


def test_a_calibration_error_stands_beside_what_true_confidences_would_show() -> None:
    scores = np.array([[0.6, 0.4]] * 4)
    metric = evaluate(make_table([0, 0, 0, 0], scores, [""] * 4)).overall["calibration_error"]
    chances = [0.4**4, 4 * 0.6 * 0.4**3, 6 * 0.6**2 * 0.4**2, 4 * 0.6**3 * 0.4, 0.6**4]
    wanted = sum(chance * abs(right / 4 - 0.6) for right, chance in enumerate(chances))
    assert metric.value == pytest.approx(0.4)
    assert metric.expected_if_calibrated == pytest.approx(wanted, abs=1e-12)
