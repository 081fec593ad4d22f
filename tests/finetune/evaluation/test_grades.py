"""Grades: their order, and kappa against scikit-learn and a slow loop over groups."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from sklearn.metrics import cohen_kappa_score

from finetune.errors import InputError
from finetune.evaluation import evaluate_predictions
from finetune.evaluation.grades import grade_order
from recipes import EvaluateSettings
from tests.finetune.evaluation.chest_table import make_chest
from tests.finetune.evaluation.drawn_tables import tables
from tests.finetune.evaluation.test_intervals import delete_each_group, slow_interval, slow_variance

GRADES = ("grade 0", "grade 1", "grade 10", "grade 2")
RISING = ("grade 0", "grade 1", "grade 2", "grade 10")


def slow_kappa(table: pd.DataFrame, order: tuple[str, ...]) -> float:
    """scikit-learn's, which knows numbers and not names."""
    truth, answers = ([order.index(name) for name in table[column]] for column in ("label", "predicted"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(cohen_kappa_score(truth, answers, weights="quadratic", labels=range(len(order))))


@settings(max_examples=100, deadline=None)
@given(tables())
def test_kappa_is_that_of_scikit_learn(table: pd.DataFrame) -> None:
    names = tuple(column[len("score_") :] for column in table.columns if column.startswith("score_"))
    order = names[1:] + names[:1]
    metric = evaluate_predictions(table, names, order=order).overall["quadratic_kappa"]
    wanted = slow_kappa(table, order)
    if math.isfinite(wanted):
        assert metric.value == pytest.approx(wanted, abs=1e-12)
        assert -1 <= metric.low <= metric.value <= metric.high <= 1
        assert metric.low < metric.high
    else:
        assert (metric.value, metric.low) == (None, None)
        assert metric.reason == "truth and answers are all one grade"


def test_a_kappa_of_minus_one_has_an_interval_though_it_varies_without_each_group() -> None:
    groups = [f"g{number}" for number in (0, 1, 2, 2, 0, 0, 1, 2)]
    table = pd.DataFrame({"path": range(8), "label": list("aaaabbbb"), "predicted": list("bbbbaaaa"), "group": groups})
    metric = evaluate_predictions(table, ("a", "b"), order=("a", "b")).overall["quadratic_kappa"]
    assert (metric.value, metric.low) == (-1.0, -1.0)
    assert -1 < metric.high < 1


def test_its_interval_is_that_of_a_slow_loop_that_deletes_groups() -> None:
    table = make_chest(6, GRADES)
    test = table[table["split"] == "test"].reset_index(drop=True)
    metric = evaluate_predictions(table, GRADES, order=RISING).overall["quadratic_kappa"]
    shares = [(slow_kappa(part, RISING) + 1) / 2 for part in delete_each_group(test)]
    bounds = slow_interval(
        (slow_kappa(test, RISING) + 1) / 2, slow_variance(shares), len(test), test["group"].nunique()
    )
    assert [metric.low, metric.high] == pytest.approx([2 * bound - 1 for bound in bounds], abs=1e-9)


def test_only_grades_have_a_kappa_and_their_order_counts() -> None:
    table = make_chest(6, GRADES)
    assert "quadratic_kappa" not in evaluate_predictions(table, GRADES).overall
    right, sorted_names = (evaluate_predictions(table, GRADES, order=order).overall for order in (RISING, GRADES))
    assert right["quadratic_kappa"].value != sorted_names["quadratic_kappa"].value
    turned = evaluate_predictions(table, GRADES, order=RISING[::-1]).overall["quadratic_kappa"]
    assert turned.value == pytest.approx(right["quadratic_kappa"].value)


def test_the_order_is_that_of_the_numbers_or_of_the_list() -> None:
    assert grade_order(GRADES, EvaluateSettings()) is None
    assert grade_order(GRADES, EvaluateSettings(ordered=True)) == RISING
    assert grade_order(("0.5", "0", "10"), EvaluateSettings(ordered=True)) == ("0", "0.5", "10")
    told = EvaluateSettings(order=["none", "mild", "severe"])
    assert grade_order(("mild", "none", "severe"), told) == ("none", "mild", "severe")


@pytest.mark.parametrize(
    "labels", [("mild", "none"), ("grade 1", "grade 01"), ("1 of 3", "2 of 3"), ("grade 1", "high")]
)
def test_names_that_tell_no_order_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"evaluate\.ordered: .* --set evaluate\.order="):
        grade_order(labels, EvaluateSettings(ordered=True))


def test_a_far_miss_weighs_more_than_a_near_one() -> None:
    base = pd.DataFrame({"path": range(9), "label": list("aaabbbccc"), "predicted": list("aaabbbccc")})
    near, far = (base.assign(predicted=[answer, *base["predicted"][1:]]) for answer in "bc")
    kappas = [
        evaluate_predictions(t, ("a", "b", "c"), order=("a", "b", "c")).overall["quadratic_kappa"] for t in (near, far)
    ]
    assert np.diff([kappa.value for kappa in kappas])[0] < 0
