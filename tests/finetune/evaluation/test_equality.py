"""Values against scikit-learn, exact intervals against scipy and statsmodels, others against loops over groups."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import classification_report
from statsmodels.stats.proportion import proportion_confint

from finetune.evaluation import Evaluation, Metric
from finetune.evaluation.intervals import clopper_pearson, log_bootstrap_interval
from finetune.reporting.tables import report_json, report_text
from tests.finetune.evaluation.drawn_tables import evaluate, every_metric, expected, make_table, softmax, tables

ONE_IMAGE = make_table([0], np.array([[0.4, 0.6]]), [""])
ONE_GROUP = make_table([0, 1, 0], np.array([[0.9, 0.1]] * 3), ["g"] * 3)
ALL_RIGHT = make_table([0, 1, 0, 1], np.eye(2)[[0, 1, 0, 1]], [""] * 4)
ALL_WRONG = make_table([0, 1, 0, 1], np.eye(2)[[1, 0, 1, 0]], ["g", "g", "h", "i"])
ABSENT = make_table([0, 0, 2], softmax(np.arange(9.0).reshape(3, 3) % 4), [""] * 3)
TIES = make_table([0, 1, 2, 2], np.full((4, 3), 1 / 3), ["g", "h", "h", "i"])
ROUNDED = make_table([0, 1, 1, 0], np.array([[0.1, 0.9], [0.1, 0.9], [0.5, 0.5], [0.5, 0.5]]), [""] * 4)


@settings(max_examples=40, deadline=None)
@given(tables())
@example(ONE_IMAGE)
@example(ONE_GROUP)
@example(ALL_RIGHT)
@example(ALL_WRONG)
@example(ABSENT)
@example(TIES)
@example(ROUNDED)
def test_every_value_is_that_of_scikit_learn_or_null_with_a_reason(table: pd.DataFrame) -> None:
    check_values(table)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(tables())
def test_five_hundred_tables_have_the_values_of_scikit_learn(table: pd.DataFrame) -> None:
    check_values(table)


def check_values(table: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = expected(table)
    evaluation = evaluate(table)
    for row, name, metric in every_metric(evaluation):
        value = wanted[row][name]
        if math.isfinite(value):
            assert metric.value == pytest.approx(value, rel=1e-12, abs=1e-12), (row, name)
        else:
            assert (metric.value, metric.low, metric.high, metric.n_eff) == (None,) * 4, (row, name)
            assert metric.reason
    check_averages(evaluation, wanted)


def check_averages(evaluation: Evaluation, wanted: dict[str, dict[str, float]]) -> None:
    """An average over some classes names them, and is their mean."""
    for average, part in (("balanced_accuracy", "recall"), ("macro_f1", "f1"), ("roc_auc", "roc_auc")):
        metric = evaluation.overall[average]
        exists = tuple(label for label in evaluation.labels if math.isfinite(wanted[label][part]))
        assert metric.classes == (exists if 0 < len(exists) < len(evaluation.labels) else None)
        if exists:
            assert metric.value == pytest.approx(np.mean([wanted[label][part] for label in exists]), abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(tables())
@example(ABSENT)
def test_the_text_keeps_zeros_where_the_json_has_null(table: pd.DataFrame) -> None:
    evaluation = evaluate(table)
    names = list(evaluation.labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = classification_report(
            table["label"], table["predicted"], labels=names, target_names=names, zero_division=0
        )
    assert report_text(table, evaluation.labels) == wanted
    told = report_json(evaluation, {}, (), None, None)
    for label in names:
        entry = told["per_class"][label]["recall"]
        assert (entry["value"] is None) == (evaluation.support[label] == 0)
        assert ("reason" in entry) == (entry["value"] is None)


@given(st.integers(1, 5000).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size))))
@settings(max_examples=100, deadline=None)
@example((0, 1))
@example((1, 1))
@example((0, 84))
@example((84, 84))
def test_clopper_pearson_is_that_of_scipy_and_statsmodels(hits_of: tuple[int, int]) -> None:
    hits, size = hits_of
    for confidence in (0.8, 0.95, 0.99):
        bounds = clopper_pearson(float(hits), float(size), confidence)
        exact = stats.binomtest(hits, size).proportion_ci(confidence, "exact")
        assert bounds == pytest.approx((exact.low, exact.high), abs=1e-9)
        assert bounds == pytest.approx(proportion_confint(hits, size, 1 - confidence, method="beta"), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(tables(most_images=10))
@example(ONE_GROUP)
@example(ALL_RIGHT)
@example(ALL_WRONG)
@example(ABSENT)
@example(TIES)
def test_jackknife_intervals_are_those_of_a_loop_that_deletes_groups_and_calls_scikit_learn(
    table: pd.DataFrame,
) -> None:
    check_jackknife(table)


@pytest.mark.parametrize("groups", [0, 9])
def test_jackknife_intervals_of_many_images_are_those_of_the_loop(groups: int) -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 36)
    scores = np.round(softmax(rng.normal(size=(36, 3)) + 1.2 * np.eye(3)[truth]), 1) + 1e-9
    names = ["" if groups == 0 else f"p{number}" for number in rng.integers(0, groups or 1, 36)]
    check_jackknife(make_table(truth.tolist(), scores / scores.sum(axis=1, keepdims=True), names))


def check_jackknife(table: pd.DataFrame) -> None:
    """Every interval that rests on a jackknife, against scikit-learn's values without each group."""
    names = [column[len("score_") :] for column in table.columns if column.startswith("score_")]
    key = [group or f"own {number}" for number, group in enumerate(table["group"])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = expected(table)
        rest = [expected(part) for group in dict.fromkeys(key) if len(part := table[[one != group for one in key]])]
    own = {name: len({g for g, label in zip(key, table["label"], strict=True) if label == name}) for name in names}
    others = {name: len({g for g, label in zip(key, table["label"], strict=True) if label != name}) for name in names}
    fallbacks = {("overall", "mcc"): even([own[name] for name in names if own[name]])}
    fallbacks["overall", "macro_f1"] = even([max(own[n], 1) for n in names if math.isfinite(whole[n]["f1"])])
    sides = [min(own[name], others[name]) for name in names if math.isfinite(whole[name]["roc_auc"])]
    fallbacks["overall", "roc_auc"] = min(sides, default=1) if len(sides) <= 2 else even(sides)
    for name in names:
        fallbacks[name, "roc_auc"] = min(own[name], others[name])
        fallbacks[name, "average_precision"] = own[name]
    evaluation = evaluate(table)
    for (row, name), fallback in fallbacks.items():
        metric = evaluation.overall[name] if row == "overall" else evaluation.per_class[row][name]
        if math.isfinite(whole[row][name]):
            lift = 1.0 if name == "mcc" else 0.0  # the correlation is laid over 0 to 1
            share, *shares = [(values[row][name] + lift) / (1 + lift) for values in (whole, *rest)]
            bounds = slow_interval(share, shares, fallback, len(table), evaluation.groups)
            wanted = [bound * (1 + lift) - lift for bound in bounds]
            assert [metric.low, metric.high] == pytest.approx(wanted, abs=1e-9), (row, name)
        else:
            assert metric == Metric(None, None, None, None, None, metric.reason)


def even(groups: list[int]) -> float:
    return len(groups) ** 2 / sum(1 / count for count in groups) if groups else 1.0


def slow_interval(share: float, shares: list[float], fallback: float, images: int, groups: int) -> tuple[float, float]:
    """Clopper-Pearson at the size that a jackknife over groups amounts to; NaN where a value does not exist."""
    kept = [value for value in shares if math.isfinite(value)]
    most = images if len(kept) == groups else min(images, fallback)
    variance = 0.0
    if len(kept) > 1:
        mean = sum(kept) / len(kept)
        variance = (len(kept) - 1) / len(kept) * sum((value - mean) ** 2 for value in kept)
    size = 1.0
    if groups > 1:
        size = share * (1 - share) / variance if variance > 1e-18 else min(fallback, images)
        size = min(size, images) * (stats.t.ppf(0.975, images - 1) / stats.t.ppf(0.975, groups - 1)) ** 2
        size = min(size, most)
    hits = share * size
    low = stats.beta.ppf(0.025, hits, size - hits + 1) if hits > 0 else 0.0
    high = stats.beta.ppf(0.975, hits + 1, size - hits) if hits < size else 1.0
    return low, high


@pytest.mark.parametrize("groups", [12, 40])
def test_a_loss_interval_is_that_of_a_slow_bootstrap(groups: int) -> None:
    rng = np.random.default_rng(groups)
    sizes = rng.integers(1, 5, groups).astype(float)
    totals = rng.exponential(size=groups) * sizes

    def studied(drawn: list[int]) -> tuple[float, float]:
        total, size = sum(totals[g] for g in drawn), sum(sizes[g] for g in drawn)
        squares = sum((totals[g] - total / size * sizes[g]) ** 2 for g in drawn)
        return math.log(total / size), math.sqrt(groups / (groups - 1) * squares) / total

    middle, error = studied(list(range(groups)))
    draws = [studied(row) for row in np.random.default_rng(0).integers(0, groups, (2000, groups)).tolist()]
    low, high = np.quantile([(one - middle) / spread for one, spread in draws], [0.025, 0.975])
    bounds = log_bootstrap_interval(totals, sizes, 0.95)
    assert bounds == pytest.approx((math.exp(middle - high * error), math.exp(middle - low * error)), rel=1e-9)
