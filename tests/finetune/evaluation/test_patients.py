"""One row a group, against loops over groups."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from finetune.evaluation import evaluate_predictions
from finetune.evaluation.patients import aggregate_groups, evaluate_by_group
from finetune.evaluation.split import read_split, select_split
from tests.finetune.evaluation.chest_table import CHEST, make_chest
from tests.finetune.evaluation.drawn_tables import tables


def aggregate(table: pd.DataFrame, labels: tuple[str, ...], how: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    rows = select_split(table, "test")
    return aggregate_groups(rows, read_split(table, labels, "test", 0.95), how)


def slow_row(rows: pd.DataFrame, labels: tuple[str, ...], how: str) -> tuple[list[float], str]:
    """Scores and answer of one group."""
    scores = rows[[f"score_{label}" for label in labels]].to_numpy()
    means, votes = scores.mean(axis=0), [float((rows["predicted"] == label).mean()) for label in labels]
    if how == "vote":
        best = [k for k, vote in enumerate(votes) if vote == max(votes)]
        return votes, labels[max(best, key=lambda k: means[k])]
    made = means if how == "mean" else scores.max(axis=0)
    return list(made), labels[int(np.argmax(made))]


@pytest.mark.parametrize("how", ["mean", "max", "vote"])
@settings(max_examples=40, deadline=None)
@given(table=tables())
def test_a_group_is_what_a_loop_over_its_images_makes(how: str, table: pd.DataFrame) -> None:
    labels = tuple(column[len("score_") :] for column in table.columns if column.startswith("score_"))
    found, left_out = aggregate(table, labels, how)
    key = pd.Series([group or path for group, path in zip(table["group"], table["path"], strict=True)])
    mixed = [name for name in dict.fromkeys(key) if table["label"][key == name].nunique() > 1]
    assert list(left_out) == mixed
    assert list(found["path"]) == [name for name in dict.fromkeys(key) if name not in mixed]
    for row in found.to_dict("records"):
        scores, answer = slow_row(table[key == row["path"]], labels, how)
        assert [row[f"score_{label}"] for label in labels] == pytest.approx(scores, abs=1e-12)
        assert row["predicted"] == answer or how == "mean"
        assert row["label"] == table["label"][key == row["path"]].iloc[0]


def test_of_equally_many_votes_the_surer_class_wins() -> None:
    table = pd.DataFrame({"path": ["x", "y"], "label": "NORMAL", "predicted": CHEST, "group": "p"})
    scored = table.assign(score_NORMAL=[0.6, 0.1], score_PNEUMONIA=[0.4, 0.9])
    assert aggregate(scored, CHEST, "vote")[0]["predicted"].tolist() == ["PNEUMONIA"]
    assert aggregate(table, CHEST, "vote")[0]["predicted"].tolist() == ["NORMAL"]


def test_numbers_are_those_of_the_table_of_groups_over_independent_rows() -> None:
    table = make_chest(3)
    part = read_split(table, CHEST, "test", 0.95)
    found = evaluate_by_group(table, part, "test", "mean")
    whole, _ = aggregate(table, CHEST, "mean")
    assert found.evaluation.overall == evaluate_predictions(whole, CHEST).overall
    assert found.evaluation.overall["accuracy"].method == "clopper-pearson"
    assert found.evaluation.images == table[table["split"] == "test"]["group"].nunique()


def test_groups_of_several_labels_are_told_and_left_out() -> None:
    table = make_chest(3, mixed=0.2)
    part = read_split(table, CHEST, "test", 0.95)
    found = evaluate_by_group(table, part, "test", "mean")
    test = table[table["split"] == "test"]
    mixed = (test.groupby("group")["label"].nunique() > 1).sum()
    assert len(found.left_out) == mixed > 3
    assert found.evaluation.images == test["group"].nunique() - mixed
    assert f"and {mixed - 3} more" in found.warnings[0]


def test_one_image_a_group_has_no_numbers_by_group() -> None:
    table = make_chest().drop_duplicates("group")
    part = read_split(table, CHEST, "test", 0.95)
    assert evaluate_by_group(table, part, "test", "mean") is None


def test_without_scores_groups_vote_and_highest_scores_are_no_probabilities() -> None:
    bare = make_chest().drop(columns=[f"score_{label}" for label in CHEST])
    assert evaluate_by_group(bare, read_split(bare, CHEST, "test", 0.95), "test", "mean").score == "vote"
    table = make_chest()
    highest = evaluate_by_group(table, read_split(table, CHEST, "test", 0.95), "test", "max").evaluation
    assert "no probabilities" in highest.overall["log_loss"].reason
    assert highest.overall["roc_auc"].value > 0.5


def test_where_every_group_is_mixed_nothing_is_judged() -> None:
    table = pd.DataFrame({"path": ["x", "y"], "label": CHEST, "predicted": CHEST, "group": "p"})
    found = evaluate_by_group(table, read_split(table, CHEST, "test", 0.95), "test", "mean")
    assert (found.evaluation, found.left_out) == (None, ("p",))
