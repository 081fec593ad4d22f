"""Rows for each value of a further column."""

import pandas as pd
import pytest

from finetune.errors import InputError
from finetune.evaluation import evaluate_predictions
from finetune.evaluation.subgroups import evaluate_subgroups, subgroup_warnings
from tests.finetune.evaluation.chest_table import CHEST, make_chest


def find(table: pd.DataFrame, *columns: str):
    return evaluate_subgroups(table, CHEST, columns, "test", 0.95)


def test_rows_are_the_evaluations_of_the_parts_the_missing_value_last() -> None:
    table = make_chest(5)
    found = find(table, "site")["site"]
    assert [one.value for one in found] == ["Lyon", "Ulm", ""]
    test = table[table["split"] == "test"]
    for one in found:
        rows = test[test["site"] == one.value]
        whole = evaluate_predictions(rows, CHEST)
        assert (one.images, one.groups) == (len(rows), rows["group"].nunique())
        assert one.accuracy == whole.overall["accuracy"]
        assert one.balanced_accuracy == whole.overall["balanced_accuracy"]
        assert one.recall["PNEUMONIA"] == whole.per_class["PNEUMONIA"]["recall"]
    assert sum(one.images for one in found) == len(test)


def test_small_parts_are_told() -> None:
    found = find(make_chest(5), "site")
    small = found["site"][2]
    assert small.groups < 10
    assert f"{small.groups} groups" in small.caution
    assert "of 'PNEUMONIA'" in small.caution or "of 'NORMAL'" in small.caution
    assert found["site"][1].caution is None
    told = subgroup_warnings(found)
    assert len(told) == 1
    assert "'site'" in told[0]
    assert subgroup_warnings(None) == ()


def test_a_group_may_be_the_column_and_missing_numbers_are_missing_values() -> None:
    table = make_chest(5)
    assert len(find(table, "group")["group"]) == table[table["split"] == "test"]["group"].nunique()
    ages = table.assign(age=[None if number % 2 else 7.0 for number in range(len(table))])
    assert [one.value for one in find(ages, "age")["age"]] == ["7.0", ""]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("sit", "no column 'sit' to part images by; did you mean 'site'?"),
        ("age", "no column 'age' to part images by; it has: group, site"),
        ("score_NORMAL", "no column 'score_NORMAL'"),
        ("calibrated_NORMAL", "no column 'calibrated_NORMAL'"),
    ],
)
def test_a_column_that_parts_nothing_is_refused(column: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        find(make_chest().assign(calibrated_NORMAL=0.5), column)


def test_no_columns_are_nothing() -> None:
    assert find(make_chest()) is None
