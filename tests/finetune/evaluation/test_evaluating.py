"""What is said of tables that define little."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from finetune.errors import InputError
from finetune.evaluation import evaluate_predictions
from tests.finetune.evaluation.drawn_tables import evaluate, make_table


@pytest.mark.parametrize(
    ("wrong", "said"), [(0, ""), (1, "Only 1 answer is wrong"), (4, "Only 4 answers are wrong"), (5, "")]
)
def test_few_wrong_answers_are_told(wrong: int, said: str) -> None:
    scores = np.array([[0.1, 0.9]] * wrong + [[0.9, 0.1]] * (30 - wrong) + [[0.1, 0.9]] * 30)
    told = [text for text in evaluate(make_table([0] * 30 + [1] * 30, scores, [""] * 60)).warnings if "wrong" in text]
    assert (said in told[0]) if said else not told


def test_scores_that_are_no_probabilities_leave_the_rest_standing() -> None:
    table = make_table([0, 1, 1], np.array([[3.0, -1.0], [0.5, 2.0], [1.0, 0.0]]), [""] * 3)
    evaluation = evaluate(table)
    assert evaluation.overall["log_loss"].value is None
    assert "no probabilities" in str(evaluation.overall["log_loss"].reason)
    assert evaluation.overall["roc_auc"].value == 1.0


def test_a_table_without_scores_is_judged_by_its_answers() -> None:
    table = pd.DataFrame({"path": ["x", "y"], "label": ["a", "b"], "predicted": ["a", "a"]})
    evaluation = evaluate_predictions(table, ("a", "b"))
    assert evaluation.overall["accuracy"].value == 0.5
    assert evaluation.overall["roc_auc"].reason == "the predictions hold no scores"


def test_absent_and_small_classes_are_named() -> None:
    table = make_table([0, 1, 1], np.eye(3)[[0, 1, 1]], [""] * 3)
    evaluation = evaluate(table)
    warned = " ".join(evaluation.warnings)
    assert "No image to judge 'c'" in warned
    assert "over the other 2 of 3" in warned
    assert "Fewer than 10 images to judge 'a', 'b'" in warned
    averages = {name: evaluation.overall[name].classes for name in ("balanced_accuracy", "macro_f1", "roc_auc")}
    assert averages == dict.fromkeys(averages, ("a", "b"))


def test_an_average_over_all_classes_names_none_and_one_that_does_not_exist_neither() -> None:
    whole = evaluate(make_table([0, 1, 2], np.eye(3)[[0, 0, 2]], [""] * 3)).overall
    assert all(metric.classes is None for metric in whole.values())
    one = evaluate(make_table([0, 0], np.array([[0.9, 0.1]] * 2), [""] * 2)).overall
    assert (one["roc_auc"].value, one["roc_auc"].classes) == (None, None)
    assert one["balanced_accuracy"].classes == ("a",)


def test_a_class_that_is_called_but_absent_counts_in_macro_f1_alone() -> None:
    overall = evaluate(make_table([0, 1, 1], np.eye(3)[[0, 1, 2]], [""] * 3)).overall
    assert overall["macro_f1"].classes is None
    assert overall["balanced_accuracy"].classes == ("a", "b")


def test_a_class_outside_the_labels_is_refused() -> None:
    with pytest.raises(InputError, match="class 'b' in column 'label'"):
        evaluate_predictions(make_table([1], np.array([[0.5, 0.5]]), [""]), ("a",))


def test_a_split_without_rows_is_refused() -> None:
    with pytest.raises(InputError, match="no row of the split 'val', only: 'test'"):
        evaluate_predictions(make_table([1], np.array([[0.5, 0.5]]), [""]), ("a", "b"), split="val")


def test_groups_that_hold_both_classes_count_on_both_sides() -> None:
    scores = np.array([[0.9, 0.1], [0.1, 0.9]] * 3)
    evaluation = evaluate(make_table([0, 1] * 3, scores, ["p", "p", "q", "q", "r", "r"]))
    factor = (stats.t.ppf(0.975, 5) / stats.t.ppf(0.975, 2)) ** 2
    assert evaluation.overall["roc_auc"].n_eff == pytest.approx(3 * factor)
    assert evaluation.per_class["a"]["roc_auc"].n_eff == pytest.approx(3 * factor)
