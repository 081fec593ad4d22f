"""The temperature, against a fine grid, and what makes it untold."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from finetune.evaluation import labels_of, with_calibrated_scores
from finetune.evaluation.calibrating import (
    Temperature,
    apply_temperature,
    evaluate_calibration,
    find_temperature,
    fit_temperature,
)
from finetune.evaluation.split import read_split
from tests.finetune.evaluation.chest_table import CHEST, make_chest
from tests.finetune.evaluation.drawn_tables import make_table, slow_calibration_error, softmax


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.floats(0.3, 4))
def test_no_temperature_of_a_fine_grid_has_a_smaller_loss(seed: int, classes: int, sharpness: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, 60)
    scores = softmax(sharpness * (rng.normal(size=(60, classes)) + np.eye(classes)[truth]))
    found = fit_temperature(scores, truth)
    losses = [
        -np.log(softmax(np.log(scores) / temperature)[np.arange(60), truth]).mean()
        for temperature in (found, *np.geomspace(0.05, 20, 1500))
    ]
    assert losses[0] <= min(losses[1:]) + 1e-9


def test_scores_made_three_times_too_sure_have_a_temperature_of_three() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 3)) * 1.5
    truth = (softmax(logits).cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    assert fit_temperature(softmax(3 * logits), truth) == pytest.approx(3, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 15))
def test_calibrated_scores_are_probabilities_and_rank_the_classes_of_an_image_alike(seed: int, heat: float) -> None:
    scores = softmax(np.random.default_rng(seed).normal(size=(20, 4)) * 3)
    calibrated = apply_temperature(scores, heat)
    assert np.allclose(calibrated.sum(axis=1), 1)
    assert (calibrated.argmax(axis=1) == scores.argmax(axis=1)).all()
    assert np.allclose(apply_temperature(scores, 1.0), scores, atol=1e-12)


def test_scores_of_exactly_nothing_stay_finite() -> None:
    scores = np.array([[1.0, 0.0], [0.0, 1.0]] * 15)
    assert np.isfinite(apply_temperature(scores, 20.0)).all()
    assert 1 < fit_temperature(scores, np.array([0] * 30)) <= 20


def of_split(table: pd.DataFrame, split: str) -> pd.DataFrame:
    return table.assign(split=split)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (make_chest()[lambda rows: rows["split"] == "test"], "no validation images"),
        (make_chest()[lambda rows: rows["split"] == "val"][:19], "19 validation images are too few"),
        (make_chest().drop(columns=["score_NORMAL", "score_PNEUMONIA"]), "hold no scores"),
        (make_chest().assign(score_NORMAL=3.0), "no probabilities"),
        (of_split(make_table([0, 1] * 15, np.eye(2)[[0, 1] * 15] * 0.8 + 0.1, [""] * 30), "val"), "answered rightly"),
    ],
)
def test_no_temperature_is_told_where_none_can_be_known(table: pd.DataFrame, reason: str) -> None:
    labels = labels_of(table)
    found = find_temperature(table, labels)
    assert found.value is None
    assert reason in str(found.reason)
    assert with_calibrated_scores(table, labels).equals(table)


def test_the_table_gets_a_column_a_class_from_the_temperature_of_its_validation_rows() -> None:
    table = make_chest()
    found = with_calibrated_scores(table, CHEST)
    columns = [f"score_{label}" for label in CHEST]
    wanted = apply_temperature(table[columns].to_numpy(), find_temperature(table, CHEST).value)
    assert np.array_equal(found[["calibrated_NORMAL", "calibrated_PNEUMONIA"]].to_numpy(), wanted)
    assert found[table.columns].equals(table)
    changed = table["split"] == "test"
    other = table.assign(label=np.where(changed, "NORMAL", table["label"]))
    assert find_temperature(other, CHEST) == find_temperature(table, CHEST)


@pytest.mark.parametrize("name", ["calibrated_a", "score_a", "score_calibrated_a"])
def test_a_class_may_be_called_like_a_column(name: str) -> None:
    table = make_chest(labels=("a", name))
    found = with_calibrated_scores(table, ("a", name))
    assert len(set(found.columns)) == len(found.columns) == len(table.columns) + 2
    assert labels_of(found) == ("a", name)


def test_numbers_before_and_after_are_those_of_scikit_learn() -> None:
    table = make_chest(patients=80)
    temperature = find_temperature(table, CHEST)
    found = evaluate_calibration(read_split(table, CHEST, "test", 0.95), temperature)
    test = table[table["split"] == "test"]
    plain = test[[f"score_{label}" for label in CHEST]].to_numpy()
    for scores, metrics, bins in (
        (plain, found.before, found.bins_before),
        (apply_temperature(plain, temperature.value or 0.0), found.after, found.bins_after),
    ):
        assert metrics["log_loss"].value == pytest.approx(log_loss(test["label"], scores, labels=CHEST), abs=1e-12)
        assert metrics["brier"].value == pytest.approx(brier_score_loss(test["label"], scores, labels=CHEST), abs=1e-12)
        assert metrics["calibration_error"].value == pytest.approx(slow_calibration_error(test, scores), abs=1e-12)
        assert sum(one.images for one in bins) == len(test)
        gaps = sum(one.images * abs((one.confidence or 0) - (one.right or 0)) for one in bins) / len(test)
        assert gaps == pytest.approx(metrics["calibration_error"].value, abs=1e-12)


def test_a_temperature_at_the_end_of_its_range_is_told() -> None:
    part = read_split(make_chest(), CHEST, "test", 0.95)
    assert evaluate_calibration(part, Temperature(20.0, 90)).warnings
    assert not evaluate_calibration(part, Temperature(1.5, 90)).warnings
    assert evaluate_calibration(part, Temperature(None, 0, "none")).after == {}
