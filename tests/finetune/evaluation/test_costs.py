"""Costs: the matrix, the cheapest answers, and the interval of the mean."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from finetune.evaluation.costs import cheapest_answers, cost_matrix, evaluate_costs
from finetune.evaluation.split import Split, read_split
from tests.finetune.evaluation.chest_table import CHEST, make_chest
from tests.finetune.evaluation.drawn_tables import softmax, tables


def part_of(table: pd.DataFrame, labels: tuple[str, ...] = CHEST) -> Split:
    return read_split(table, labels, "test", 0.95)


def test_what_is_not_named_costs_one_where_it_is_wrong() -> None:
    found = cost_matrix({"b": {"a": 10.0, "b": 0.5}}, ("a", "b", "c"))
    assert found.tolist() == [[0, 1, 1], [10, 0.5, 1], [1, 1, 0]]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_other_answer_has_a_smaller_expected_cost(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, matrix = softmax(rng.normal(size=(12, 3))), rng.random((3, 3)) * 10
    for row, answer in zip(scores, cheapest_answers(scores, matrix), strict=True):
        costs = [sum(row[truth] * matrix[truth, other] for truth in range(3)) for other in range(3)]
        assert costs[answer] == pytest.approx(min(costs))


def test_equal_costs_give_the_most_probable_class() -> None:
    scores = softmax(np.random.default_rng(0).normal(size=(50, 4)))
    assert (cheapest_answers(scores, 1 - np.eye(4)) == scores.argmax(axis=1)).all()


@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(0, 1000))
def test_the_mean_cost_is_that_of_a_loop(table: pd.DataFrame, seed: int) -> None:
    names = tuple(column[len("score_") :] for column in table.columns if column.startswith("score_"))
    matrix = np.random.default_rng(seed).random((len(names), len(names))) * 5
    part = part_of(table, names)
    found = evaluate_costs(part, part.scores, matrix, None, None)
    pairs = zip(table["label"], table["predicted"], strict=True)
    mean = np.mean([matrix[names.index(truth), names.index(answer)] for truth, answer in pairs])
    assert found.plain.value == pytest.approx(mean)
    assert matrix.min() <= found.plain.low <= found.plain.value <= found.plain.high <= matrix.max()
    assert found.cheapest is not None
    assert found.confusion_matrix.sum() == len(table)


def test_with_two_classes_the_interval_is_made_of_exact_ones() -> None:
    labels = np.array(CHEST)[[0] * 60 + [1] * 40]
    called = np.array(CHEST)[[0] * 50 + [1] * 10 + [1] * 36 + [0] * 4]
    part = part_of(pd.DataFrame({"path": range(100), "label": labels, "predicted": called}))
    shares = np.array([0.9, 0.1])
    found = evaluate_costs(part, None, cost_matrix({"PNEUMONIA": {"NORMAL": 10.0}}, CHEST), shares, None).plain
    alarms, misses = (stats.binomtest(*pair).proportion_ci(0.95, "exact") for pair in ((10, 60), (4, 40)))
    value = 0.9 * 10 / 60 + 0.1 * 10 * 0.1
    low = value - np.hypot(0.9 * (10 / 60 - alarms.low), 1.0 * (0.1 - misses.low))
    high = value + np.hypot(0.9 * (alarms.high - 10 / 60), 1.0 * (misses.high - 0.1))
    assert (found.value, found.low, found.high) == pytest.approx((value, low, high), abs=1e-6)


def test_dear_misses_move_answers_and_lower_the_cost() -> None:
    part = part_of(make_chest(1, patients=200))
    found = evaluate_costs(part, part.scores, cost_matrix({"PNEUMONIA": {"NORMAL": 20.0}}, CHEST), None, None)
    assert found.changed > 0
    assert found.cheapest.value < found.plain.value
    assert found.confusion_matrix[1, 0] < ((part.outcomes.truth == 1) & (part.outcomes.predicted == 0)).sum()


def test_costs_that_no_answer_changes_are_undefined() -> None:
    part = part_of(make_chest())
    found = evaluate_costs(part, part.scores, np.zeros((2, 2)), None, None)
    assert found.plain.reason == "no answer is stated to cost more than another"
    assert evaluate_costs(part, None, np.eye(2), None, None).reason == "the predictions hold no scores"


@pytest.mark.slow
@pytest.mark.parametrize("groups", [0, 30])
def test_intervals_of_mean_costs_cover_as_they_say(groups: int) -> None:
    """Misses of 0.1 at 10, false calls of 0.1 at 1; answers within a group alike."""
    rng, covered, matrix = np.random.default_rng(2), 0, cost_matrix({"PNEUMONIA": {"NORMAL": 10.0}}, CHEST)
    for _ in range(300):
        patient = np.repeat(np.arange(groups), 4) if groups else np.arange(120)
        truth = rng.integers(0, 2, patient.max() + 1)[patient]
        ease = (rng.normal(size=patient.max() + 1)[patient] + rng.normal(size=120)) / 2**0.5
        is_right = ease < stats.norm.ppf(0.9)
        names, group = np.array(CHEST), [f"p{one}" for one in patient] if groups else ""
        answers = names[np.where(is_right, truth, 1 - truth)]
        part = part_of(pd.DataFrame({"path": range(120), "label": names[truth], "predicted": answers, "group": group}))
        if len(set(truth)) == 2:
            metric = evaluate_costs(part, None, matrix, np.array([0.5, 0.5]), None).plain
            covered += metric.low <= 0.55 <= metric.high
    assert covered >= 0.93 * 300
