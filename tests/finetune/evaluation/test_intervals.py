"""Intervals against scipy and slow loops over groups."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from scipy import stats

from finetune.evaluation import Metric
from finetune.evaluation.intervals import log_bootstrap_interval
from tests.finetune.evaluation.drawn_tables import evaluate, every_metric, expected, make_table, softmax, tables

OVERALL_ENDS = {"mcc": (-1.0, 1.0), "log_loss": (0.0, math.inf), "brier": (0.0, 2.0)}


@settings(max_examples=50, deadline=None)
@given(tables())
def test_every_interval_holds_its_value_and_stays_in_range(table: pd.DataFrame) -> None:
    for row, name, metric in every_metric(evaluate(table)):
        if metric.low is None or metric.high is None:
            assert metric.value is None or metric.reason
            continue
        least, most = OVERALL_ENDS.get(name, (0.0, 1.0))
        assert metric.value is not None
        assert metric.n_eff is not None
        assert metric.n_eff > 0
        assert least <= metric.low <= metric.value <= metric.high, (row, name, metric)
        assert name == "log_loss" or metric.high <= most or name == "brier"
        assert metric.low < metric.high, (row, name, metric)


@settings(max_examples=30, deadline=None)
@given(tables())
def test_proportions_over_independent_images_have_the_exact_interval_of_scipy(table: pd.DataFrame) -> None:
    evaluation = evaluate(table.assign(group=""))
    matrix = evaluation.confusion_matrix
    for k, label in enumerate(evaluation.labels):
        for name, size in (("recall", matrix[k].sum()), ("precision", matrix[:, k].sum())):
            if size:
                exact = stats.binomtest(int(matrix[k, k]), int(size)).proportion_ci(0.95, "exact")
                metric = evaluation.per_class[label][name]
                assert (metric.low, metric.high) == pytest.approx((exact.low, exact.high), abs=1e-9)
                assert (metric.method, metric.n_eff) == ("clopper-pearson", float(size))


def slow_grouped_interval(hits: list[bool], groups: list[str]) -> tuple[float, float]:
    """The interval of a share from the yes and no of images and their groups, by loops over groups."""
    by_group: dict[str, list[bool]] = {}
    for hit, group in zip(hits, groups, strict=True):
        by_group.setdefault(group, []).append(hit)
    parts, n, count = list(by_group.values()), len(hits), len(by_group)
    p, squares = sum(hits) / n, sum(len(part) ** 2 for part in parts)
    if count == 1:
        size = 1.0
    elif count == n:
        size = float(n)
    elif p in (0, 1):
        size = n**2 / squares
    else:
        ratio = count / (count - 1) * sum((sum(part) - p * len(part)) ** 2 for part in parts) / n**2
        between = sum(len(part) * (sum(part) / len(part) - p) ** 2 for part in parts) / (count - 1)
        within = sum((hit - sum(part) / len(part)) ** 2 for part in parts for hit in part) / (n - count)
        typical = (n - squares / n) / (count - 1)
        alike = max(0.0, (between - within) / (between + (typical - 1) * within))
        size = min(p * (1 - p) / ratio if ratio > 1e-18 else n, n / (1 + alike * (squares / n - 1)), n)
        size *= (stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.975, count - 1)) ** 2
    low = stats.beta.ppf(0.025, p * size, size - p * size + 1) if p > 0 else 0.0
    high = stats.beta.ppf(0.975, p * size + 1, size - p * size) if p < 1 else 1.0
    return low, high


@settings(max_examples=60, deadline=None)
@given(tables())
def test_shares_over_groups_have_the_interval_of_a_slow_loop(table: pd.DataFrame) -> None:
    evaluation, wanted = evaluate(table), {}
    groups = pd.Series([group or f"own {number}" for number, group in enumerate(table["group"])])
    right = table["label"] == table["predicted"]
    assert check_share(evaluation.overall["accuracy"], right, right | True, groups)
    for name in evaluation.labels:
        is_class, is_called = table["label"] == name, table["predicted"] == name
        wanted = {
            "recall": (is_called, is_class),
            "precision": (is_class, is_called),
            "specificity": (~is_called, ~is_class),
            "npv": (~is_class, ~is_called),
        }
        assert all(check_share(evaluation.per_class[name][one], *shares, groups) for one, shares in wanted.items())
        f1, members = evaluation.per_class[name]["f1"], is_class | is_called
        if members.any():
            bounds = slow_grouped_interval((is_class & is_called)[members].tolist(), groups[members].tolist())
            assert [f1.low, f1.high] == pytest.approx([2 * bound / (1 + bound) for bound in bounds], abs=1e-9)


def check_share(metric: Metric, hits: pd.Series, members: pd.Series, groups: pd.Series) -> bool:
    if not members.any():
        return metric.value is None
    bounds = slow_grouped_interval(hits[members].tolist(), groups[members].tolist())
    return [metric.low, metric.high] == pytest.approx(bounds, abs=1e-9)


def delete_each_group(table: pd.DataFrame) -> list[pd.DataFrame]:
    key = [group or f"own {number}" for number, group in enumerate(table["group"])]
    return [table[[other != group for other in key]] for group in dict.fromkeys(key)]


def slow_variance(values: list[float]) -> float:
    """The jackknife's variance of the values that exist."""
    kept = [value for value in values if math.isfinite(value)]
    mean = sum(kept) / len(kept)
    return (len(kept) - 1) / len(kept) * sum((value - mean) ** 2 for value in kept)


def slow_interval(share: float, variance: float, images: int, groups: int) -> tuple[float, float]:
    size = min(share * (1 - share) / variance, images)
    size *= (stats.t.ppf(0.975, images - 1) / stats.t.ppf(0.975, groups - 1)) ** 2
    hits = share * size
    return stats.beta.ppf(0.025, hits, size - hits + 1), stats.beta.ppf(0.975, hits + 1, size - hits)


@pytest.mark.parametrize("kind", ["independent", "pure groups", "mixed groups"])
def test_balanced_accuracy_rests_on_the_recalls(kind: str) -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 3, 60)
    logits = rng.normal(size=(60, 3)) + 1.2 * np.eye(3)[truth]
    names = {
        "independent": [""] * 60,
        "pure groups": [f"{k} {number}" for k, number in zip(truth, rng.integers(0, 6, 60), strict=True)],
        "mixed groups": [f"g{number}" for number in rng.integers(0, 14, 60)],
    }[kind]
    table = make_table(truth.tolist(), softmax(logits), names)
    evaluation = evaluate(table)
    recalls = [metrics["recall"] for metrics in evaluation.per_class.values()]
    value = sum(one.value for one in recalls) / 3
    bounds = [
        value - math.sqrt(sum((one.value - one.low) ** 2 for one in recalls)) / 3,
        value + math.sqrt(sum((one.high - one.value) ** 2 for one in recalls)) / 3,
    ]
    metric = evaluation.overall["balanced_accuracy"]
    if kind == "mixed groups":
        shares = [expected(part)["overall"]["balanced_accuracy"] for part in delete_each_group(table)]
        other = slow_interval(value, slow_variance(shares), 60, evaluation.groups)
        bounds = [min(bounds[0], other[0]), max(bounds[1], other[1])]
    assert metric.value == pytest.approx(value)
    assert [metric.low, metric.high] == pytest.approx(bounds, abs=1e-9)


def test_mean_losses_need_ten_groups_that_differ() -> None:
    rng = np.random.default_rng(6)
    scores = softmax(rng.normal(size=(40, 2)))
    for groups, exists in ((9, False), (10, True), (40, True)):
        table = make_table([0, 1] * 20, scores, [f"g{number % groups}" for number in range(40)])
        for name in ("log_loss", "brier"):
            metric = evaluate(table).overall[name]
            assert (metric.low is not None) == exists
            assert exists or "10 groups" in str(metric.reason)
    alike = evaluate(make_table([0] * 12, np.array([[0.7, 0.3]] * 12), [""] * 12)).overall["log_loss"]
    assert alike.low is None
    assert "alike" in str(alike.reason)


def test_a_loss_interval_covers_as_it_says() -> None:
    """Exponential losses of mean 1 in 30 groups; by Student's t about 0.91."""
    rng, covered = np.random.default_rng(7), 0
    for _ in range(300):
        low, high = log_bootstrap_interval(rng.exponential(size=30), np.ones(30), 0.95) or (math.nan, math.nan)
        covered += low <= 1 <= high
    assert covered >= 0.92 * 300


def test_a_perfect_score_does_not_get_a_perfect_lower_bound() -> None:
    scores = np.array([[0.9, 0.1]] * 5 + [[0.1, 0.9]] * 20)
    evaluation = evaluate(make_table([0] * 5 + [1] * 20, scores, [""] * 25))
    area = evaluation.overall["roc_auc"]
    assert (area.value, area.high, area.n_eff) == (1.0, 1.0, 5.0)
    assert area.low == pytest.approx(0.025 ** (1 / 5))
    assert evaluation.overall["balanced_accuracy"].n_eff == pytest.approx(4 / (1 / 5 + 1 / 20))


def test_images_of_one_group_count_as_one() -> None:
    scores = np.array([[0.9, 0.1]] * 5 + [[0.1, 0.9]] * 5)
    evaluation = evaluate(make_table([0] * 5 + [1] * 5, scores, ["p"] * 10))
    assert evaluation.groups == 1
    assert evaluation.overall["macro_f1"].n_eff == 1.0
    assert any("one group" in warning for warning in evaluation.warnings)


def test_a_loss_interval_never_leaves_the_range_of_its_loss() -> None:
    """One wrong answer among nearly equal right ones: resamples without it hardly vary, and no bound would hold."""
    scores = np.array([[0.9, 0.1], [0.9001, 0.0999]] * 20 + [[0.001, 0.999]])
    overall = evaluate(make_table([0] * 41, scores, [""] * 41)).overall
    assert overall["log_loss"].high is not None
    assert overall["log_loss"].high <= -math.log(np.finfo(float).eps)
    assert overall["brier"].high is not None
    assert overall["brier"].high <= 1.0
