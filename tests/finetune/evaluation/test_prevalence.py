"""Class shares: scores against Bayes' rule, PPV and NPV against slow loops."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from finetune.evaluation import Metric, TrainedFor, mover
from finetune.evaluation.prevalence import evaluate_prevalence, predictive_values, reweight
from finetune.evaluation.split import Split, read_split
from tests.finetune.evaluation.chest_table import CHEST, make_chest
from tests.finetune.evaluation.drawn_tables import make_table, softmax, tables


def part_of(table: pd.DataFrame, labels: tuple[str, ...] = CHEST) -> Split:
    return read_split(table, labels, "test", 0.95)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_true_posteriors_stay_true_posteriors_at_other_shares(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    likelihood = rng.random((10, classes)) + 0.01
    trained, stated = (share / share.sum() for share in rng.random((2, classes)) + 0.01)
    posterior = likelihood * trained / (likelihood * trained).sum(axis=1, keepdims=True)
    wanted = likelihood * stated / (likelihood * stated).sum(axis=1, keepdims=True)
    assert np.allclose(reweight(posterior, trained, stated), wanted, atol=1e-12)


def test_equal_shares_change_nothing_and_a_class_that_never_occurs_is_never_answered() -> None:
    scores = softmax(np.random.default_rng(0).normal(size=(20, 3)))
    shares = np.array([0.2, 0.3, 0.5])
    assert np.allclose(reweight(scores, shares, shares), scores)
    found = reweight(scores, shares, np.array([0.0, 0.4, 0.6]))
    assert (found[:, 0] == 0).all()
    assert np.allclose(found.sum(axis=1), 1)


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(0, 1000))
@example(make_table([0, 1], np.array([[0.4, 0.6], [0.8, 0.2]]), ["", ""]), 1)
@example(make_table([0, 1], np.array([[0.6, 0.4], [0.8, 0.2]]), ["", ""]), 63)
def test_predictive_values_are_those_of_a_loop_over_classes(table: pd.DataFrame, seed: int) -> None:
    names = tuple(column[len("score_") :] for column in table.columns if column.startswith("score_"))
    shares = np.random.default_rng(seed).dirichlet(np.ones(len(names)))
    part = part_of(table, names)
    for k, name in enumerate(names):
        found = predictive_values(part, part.outcomes.predicted == k, k, shares)
        if set(table["label"]) != set(names):
            assert found["ppv"].value is None
            assert found["npv"].reason
            continue
        calls = [(table["predicted"][table["label"] == label] == name).mean() for label in names]
        called, right = sum(shares * calls), shares[k] * calls[k]
        if called > 0:
            assert found["ppv"].value == pytest.approx(right / called, abs=1e-12)
        else:
            assert found["ppv"].reason
        if min(calls) == 1:
            assert found["npv"].reason
        else:
            cleared = sum(
                share * (1 - call) for j, (share, call) in enumerate(zip(shares, calls, strict=True)) if j != k
            )
            assert found["npv"].value == pytest.approx(cleared / (1 - called), abs=1e-9)
        for metric in found.values():
            assert metric.value is None or 0 <= metric.low <= metric.value <= metric.high <= 1


def exact(hits: int, images: int) -> tuple[float, float, float]:
    bounds = stats.binomtest(hits, images).proportion_ci(0.95, "exact")
    return hits / images, bounds.low, bounds.high


def test_the_interval_of_a_ppv_rests_on_those_of_both_rates() -> None:
    found, alarms, ill, healthy, share = 45, 12, 50, 150, 0.02
    truth, called = (
        [1] * ill + [0] * healthy,
        [1] * found + [0] * (ill - found) + [1] * alarms + [0] * (healthy - alarms),
    )
    table = pd.DataFrame({"path": range(200), "label": np.array(CHEST)[truth], "predicted": np.array(CHEST)[called]})
    part = part_of(table)
    ppv = predictive_values(part, part.outcomes.predicted == 1, 1, np.array([1 - share, share]))["ppv"]
    ratios = mover.ratio(exact(found, ill), exact(alarms, healthy))
    odds = share / (1 - share)
    assert ppv.value == pytest.approx(0.9 * share / (0.9 * share + 0.08 * 0.98))
    assert [ppv.low, ppv.high] == pytest.approx([odds * one / (odds * one + 1) for one in ratios])
    assert ppv.method == "mover"


def test_at_the_shares_of_the_table_ppv_is_the_precision() -> None:
    part = part_of(make_chest(2))
    shares = np.bincount(part.outcomes.truth) / len(part.outcomes.truth)
    is_called, is_ill = part.outcomes.predicted == 1, part.outcomes.truth == 1
    found = predictive_values(part, is_called, 1, shares)
    assert found["ppv"].value == pytest.approx((is_called & is_ill).sum() / is_called.sum())
    assert found["npv"].value == pytest.approx((~is_called & ~is_ill).sum() / (~is_called).sum())


def test_groups_of_several_classes_have_an_interval_that_holds_the_jackknifes() -> None:
    part = part_of(make_chest(2, mixed=0.3))
    assert not part.is_pure
    shares = np.array([0.9, 0.1])
    metric = predictive_values(part, part.outcomes.predicted == 1, 1, shares)["ppv"]
    assert metric.method == "mover and jackknife"
    values = []
    for group in range(part.outcomes.groups):
        kept = part.outcomes.group != group
        called, ill = part.outcomes.predicted[kept] == 1, part.outcomes.truth[kept] == 1
        found, alarms = called[ill].mean(), called[~ill].mean()
        values.append(0.1 * found / (0.1 * found + 0.9 * alarms))
    count = len(values)
    variance = (count - 1) / count * sum((value - np.mean(values)) ** 2 for value in values)
    size = min(metric.value * (1 - metric.value) / variance, len(part.outcomes.truth))
    size *= (stats.t.ppf(0.975, len(part.outcomes.truth) - 1) / stats.t.ppf(0.975, count - 1)) ** 2
    low = stats.beta.ppf(0.025, metric.value * size, size - metric.value * size + 1)
    assert metric.low <= low + 1e-9


def test_accuracy_at_other_shares_is_the_weighted_recall_and_reweighting_pays() -> None:
    table = make_chest(1, patients=200)
    part, stated = part_of(table), np.array([0.97, 0.03])
    trained = TrainedFor(np.array([0.5, 0.5]), "told")
    found = evaluate_prevalence(part, part, stated, trained, None)
    recalls = [found.plain.per_class[label]["recall"].value for label in CHEST]
    assert found.plain.accuracy.value == pytest.approx(sum(stated * recalls))
    assert found.reweighted is not None
    assert found.reweighted.accuracy.value > found.plain.accuracy.value
    answers = reweight(part.scores, trained.shares, stated).argmax(axis=1)
    assert found.changed == (answers != part.outcomes.predicted).sum() > 0


def test_without_knowing_what_it_was_trained_for_nothing_is_reweighted() -> None:
    part = part_of(make_chest())
    assert evaluate_prevalence(part, part, np.array([0.5, 0.5]), None, None).reweighted is None
    never = TrainedFor(np.array([1.0, 0.0]), "told")
    found = evaluate_prevalence(part, part, np.array([0.5, 0.5]), never, None)
    assert "leave out a class" in str(found.reason)


@pytest.mark.slow
def test_intervals_of_ppv_cover_as_they_say() -> None:
    rng, covered = np.random.default_rng(8), 0
    share, sensitivity, specificity = 0.05, 0.9, 0.92
    truth = share * sensitivity / (share * sensitivity + (1 - share) * (1 - specificity))
    for _ in range(400):
        labels = np.array([1] * 40 + [0] * 80)
        called = np.where(labels == 1, rng.random(120) < sensitivity, rng.random(120) > specificity).astype(int)
        table = pd.DataFrame(
            {"path": range(120), "label": np.array(CHEST)[labels], "predicted": np.array(CHEST)[called]}
        )
        part = part_of(table)
        metric: Metric = predictive_values(part, called == 1, 1, np.array([1 - share, share]))["ppv"]
        covered += metric.low <= truth <= metric.high
    assert covered >= 0.94 * 400
