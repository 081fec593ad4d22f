"""Thresholds by their rule, against a loop over every threshold, and what they do on test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.evaluation.operating import evaluate_thresholds, sensitivity_threshold, specificity_threshold
from finetune.evaluation.split import find_split, read_split
from recipes import EvaluateSettings
from tests.finetune.evaluation.chest_table import CHEST, make_chest
from tests.finetune.evaluation.test_intervals import slow_grouped_interval

scores_drawn = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.7, 0.9, 1.0]), min_size=1, max_size=25)
shares = st.floats(0.001, 1)


@settings(max_examples=200, deadline=None)
@given(scores_drawn, shares)
def test_the_highest_threshold_that_finds_enough_is_taken(drawn: list[float], wanted: float) -> None:
    scores = np.array(drawn)
    found = sensitivity_threshold(scores, wanted)
    enough = [one for one in scores if sum(other >= one for other in scores) >= wanted * len(scores) - 1e-9]
    assert found == max(enough)


@settings(max_examples=200, deadline=None)
@given(scores_drawn, scores_drawn, shares)
def test_the_lowest_threshold_that_leaves_enough_alone_is_taken(
    drawn: list[float], others: list[float], wanted: float
) -> None:
    negatives, seen = np.array(drawn), np.array(drawn + others)
    found = specificity_threshold(negatives, wanted, seen)
    enough = [one for one in seen if sum(other < one for other in negatives) >= wanted * len(negatives) - 1e-9]
    if enough:
        assert found == min(enough)
    else:
        assert max(seen) < found < max(seen) + 1e-9


def test_shares_that_end_on_an_image_are_not_missed_by_rounding() -> None:
    assert sensitivity_threshold(np.arange(1, 101) / 100, 0.95) == 0.06
    assert sensitivity_threshold(np.arange(1, 11) / 10, 0.7) == 0.4
    assert specificity_threshold(np.arange(1, 11) / 10, 0.7, np.arange(1, 11) / 10) == 0.8


def find(table, settings_: EvaluateSettings):
    validation = find_split(table, CHEST, "val", 0.95)
    return evaluate_thresholds(validation, read_split(table, CHEST, "test", 0.95), settings_, None)


@pytest.mark.parametrize("digits", [1, 9])
def test_the_numbers_on_test_are_those_of_a_slow_count(digits: int) -> None:
    table = make_chest(4).round(digits)
    settings_ = EvaluateSettings(target_sensitivity={"PNEUMONIA": 0.9})
    (point,) = find(table, settings_)
    test = table[table["split"] == "test"]
    called, ill = test["score_PNEUMONIA"] >= point.threshold, test["label"] == "PNEUMONIA"
    assert point.counts == {
        "found": (called & ill).sum(),
        "missed": (~called & ill).sum(),
        "false_calls": (called & ~ill).sum(),
        "cleared": (~called & ~ill).sum(),
    }
    for name, hits, members in (
        ("sensitivity", called, ill),
        ("specificity", ~called, ~ill),
        ("ppv", ill, called),
        ("npv", ~ill, ~called),
    ):
        metric = point.test[name]
        assert metric.value == pytest.approx((hits & members).sum() / members.sum(), abs=1e-12)
        bounds = slow_grouped_interval(hits[members].tolist(), test["group"][members].tolist())
        assert [metric.low, metric.high] == pytest.approx(bounds, abs=1e-9)
    validation = table[(table["split"] == "val") & (table["label"] == "PNEUMONIA")]
    assert point.images == len(validation)
    share = (validation["score_PNEUMONIA"] >= point.threshold).mean()
    assert point.validation["sensitivity"].value == pytest.approx(share)
    assert share >= 0.9


def test_labels_of_test_do_not_move_the_threshold() -> None:
    table, settings_ = make_chest(4), EvaluateSettings(target_specificity={"PNEUMONIA": 0.9})
    turned = {"NORMAL": "PNEUMONIA", "PNEUMONIA": "NORMAL"}
    is_test = table["split"] == "test"
    other = table.assign(label=table["label"].where(~is_test, table["label"].map(turned)))
    assert find(table, settings_)[0].threshold == find(other, settings_)[0].threshold


def test_a_choice_on_few_images_is_told() -> None:
    table = make_chest(4)
    ill = (table["split"] == "val") & (table["label"] == "PNEUMONIA")
    few = table[~ill | (ill.cumsum() <= 3)]
    (point,) = find(few, EvaluateSettings(target_sensitivity={"PNEUMONIA": 0.9}))
    assert point.warnings == (
        "The threshold for the sensitivity of 'PNEUMONIA' was chosen on 3 validation images of the class; "
        "with fewer than 20 it is a guess.",
    )
    (whole,) = find(table, EvaluateSettings(target_sensitivity={"PNEUMONIA": 0.9}))
    assert not whole.warnings


@pytest.mark.parametrize(
    ("keep", "reason"),
    [
        (lambda rows: rows["split"] == "test", "there are no validation images to choose it on"),
        (lambda rows: (rows["split"] == "test") | (rows["label"] == "NORMAL"), "no validation image is of this class"),
    ],
)
def test_without_images_to_choose_on_there_is_no_threshold(keep, reason: str) -> None:
    table = make_chest()
    (point,) = find(table[keep(table)], EvaluateSettings(target_sensitivity={"PNEUMONIA": 0.9}))
    assert (point.threshold, point.reason) == (None, reason)


def test_both_wishes_for_one_class_stand_side_by_side_and_none_is_none() -> None:
    wishes = EvaluateSettings(
        target_specificity={"PNEUMONIA": 0.9}, target_sensitivity={"PNEUMONIA": 0.9, "NORMAL": 0.8}
    )
    assert [(point.label, point.target) for point in find(make_chest(), wishes)] == [
        ("NORMAL", "sensitivity"),
        ("PNEUMONIA", "sensitivity"),
        ("PNEUMONIA", "specificity"),
    ]
    assert find(make_chest(), EvaluateSettings()) is None
