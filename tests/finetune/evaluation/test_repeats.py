"""Repeats and folds of a cross-validation: an image counts once, and what is chosen is chosen fold by fold."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from finetune.evaluation import Evaluation, Metric, evaluate_decisions, evaluate_predictions, labels_of
from finetune.evaluation.calibrating import find_temperature, fit_temperature
from finetune.evaluation.operating import sensitivity_threshold
from recipes import EvaluateSettings
from tests.finetune.evaluation.drawn_tables import tables


def repeated(table: pd.DataFrame, repeats: int) -> pd.DataFrame:
    """The same answers so many times over."""
    return pd.concat([table.assign(repeat=repeat + 1, fold=1) for repeat in range(repeats)], ignore_index=True)


def metrics_of(evaluation: Evaluation) -> Iterator[tuple[str, Metric]]:
    yield from evaluation.overall.items()
    for label, metrics in evaluation.per_class.items():
        yield from ((f"{label}, {name}", metric) for name, metric in metrics.items())


@settings(max_examples=100, deadline=None)
@given(tables())
def test_the_same_answers_twice_tell_no_more(table: pd.DataFrame) -> None:
    labels = labels_of(table)
    once, twice = (evaluate_predictions(one, labels) for one in (table, repeated(table, 2)))
    assert (twice.images, twice.groups, twice.repeats) == (once.images, once.groups, 2)
    assert dict(twice.support) == dict(once.support)
    for (name, first), (_, second) in zip(metrics_of(once), metrics_of(twice), strict=True):
        assert first.value == pytest.approx(second.value, abs=1e-12), name
        if second.n_eff is not None:
            assert second.n_eff <= once.images + 1e-9, name
        if first.low is not None and second.low is not None and second.n_eff is not None and first.n_eff is not None:
            assert second.n_eff <= first.n_eff * (1 + 1e-9), name


def drawn(rng: np.random.Generator, folds: int, images: int) -> pd.DataFrame:
    """A validation and a test part for each of some folds; each fold is as sure of itself as it likes."""
    made = []
    for fold in range(1, folds + 1):
        truth = rng.integers(0, 2, 2 * images)
        logit = (1 + fold) * (truth - 0.5 + rng.normal(0, 1, 2 * images))
        score = 1 / (1 + np.exp(-logit))
        made.append(
            pd.DataFrame(
                {
                    "path": [f"{fold}-{number}" for number in range(2 * images)],
                    "label": np.array(["a", "b"])[truth],
                    "group": "",
                    "split": ["val"] * images + ["test"] * images,
                    "predicted": np.array(["a", "b"])[(score > 0.5).astype(int)],
                    "score_a": 1 - score,
                    "score_b": score,
                    "fold": fold,
                    "repeat": 1,
                }
            )
        )
    return pd.concat(made, ignore_index=True)


def test_each_fold_has_its_own_temperature_and_threshold() -> None:
    table = drawn(np.random.default_rng(0), 3, 60)
    own, called = [], []
    for _, rows in table.groupby("fold"):
        val, test = (rows[rows["split"] == split] for split in ("val", "test"))
        own.append(
            fit_temperature(val[["score_a", "score_b"]].to_numpy(), (val["label"] == "b").to_numpy().astype(int))
        )
        limit = sensitivity_threshold(val.loc[val["label"] == "b", "score_b"].to_numpy(), 0.9)
        called.append(test["score_b"] >= limit)
    temperature = find_temperature(table, ["a", "b"])
    assert list((temperature.by_fold or {}).values()) == own
    assert temperature.value == np.median(own)
    decisions = evaluate_decisions(table, ["a", "b"], EvaluateSettings(target_sensitivity={"b": 0.9}))
    assert decisions.thresholds is not None
    point = decisions.thresholds[0]
    test = table[table["split"] == "test"]
    expected = pd.concat(called).loc[test.index]
    assert point.folds == 3
    assert point.counts["found"] == int((expected & (test["label"] == "b")).sum())
    assert point.counts["false_calls"] == int((expected & (test["label"] == "a")).sum())


def test_a_fold_without_validation_images_of_a_class_has_no_threshold() -> None:
    table = drawn(np.random.default_rng(0), 2, 40)
    lacking = (table["fold"] == 2) & (table["split"] == "val") & (table["label"] == "b")
    decisions = evaluate_decisions(table[~lacking], ["a", "b"], EvaluateSettings(target_sensitivity={"b": 0.9}))
    assert decisions.thresholds is not None
    assert decisions.thresholds[0].threshold is None
    assert decisions.thresholds[0].reason == "no validation image of some fold is of this class"
