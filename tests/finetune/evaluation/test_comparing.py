"""Differences of two evaluations against slow loops, and how often their intervals hold the truth."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from finetune.errors import InputError
from finetune.evaluation import Metric, compare_predictions, difference_of
from finetune.evaluation.comparing import swap_p_value
from tests.finetune.evaluation.drawn_tables import evaluate, expected, make_table, softmax, tables


def answered_anew(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same images with other scores and answers, in another order."""
    rng = np.random.default_rng(seed)
    names = [column[len("score_") :] for column in table.columns if column.startswith("score_")]
    scores = softmax(rng.normal(size=(len(table), len(names))))
    changed = {f"score_{name}": scores[:, k] for k, name in enumerate(names)}
    changed["predicted"] = [names[k] for k in scores.argmax(axis=1)]
    return table.assign(**changed).sample(frac=1, random_state=seed)


def labels_in(table: pd.DataFrame) -> tuple[str, ...]:
    return tuple(column[len("score_") :] for column in table.columns if column.startswith("score_"))


@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(0, 1000))
def test_values_are_differences_of_evaluations(table: pd.DataFrame, seed: int) -> None:
    other = answered_anew(table, seed)
    found = compare_predictions(table, other, labels_in(table)).differences
    whole = evaluate(table).overall, evaluate(other).overall
    assert set(found) == set(whole[0])
    for name, metric in found.items():
        values = [side[name].value for side in whole]
        if None in values:
            assert metric.value is None
            assert metric.reason
        else:
            assert metric.value == pytest.approx(values[0] - values[1], abs=1e-12)
            assert metric.low is None or metric.low <= metric.value <= metric.high
            assert metric.low is None or metric.low < metric.high
            assert metric.low is not None or metric.reason


Values = dict[str, float]


def deleted_values(table: pd.DataFrame, other: pd.DataFrame) -> tuple[Values, list[Values]]:
    """scikit-learn's overall differences, and those with each group deleted from both tables."""
    key = pd.Series([group or f"own {path}" for group, path in zip(table["group"], table["path"], strict=True)])
    kept = [np.ones(len(key), dtype=bool), *((key != group).to_numpy() for group in dict.fromkeys(key))]
    pairs = [(expected(table[rows])["overall"], expected(other[rows])["overall"]) for rows in kept]
    whole, *rest = [{name: first[name] - second[name] for name in first} for first, second in pairs]
    return whole, rest


def students_interval(whole: float, values: list[float], added: float) -> tuple[float, float]:
    mean, count = sum(values) / len(values), len(values)
    variance = (count - 1) / count * sum((value - mean) ** 2 for value in values) + added
    reach = stats.t.ppf(0.975, count - 1) * math.sqrt(variance)
    return whole - reach, whole + reach


@pytest.mark.parametrize("most", [0, 12])
def test_intervals_are_those_of_a_slow_loop_that_deletes_groups(most: int) -> None:
    rng = np.random.default_rng(11)
    truth = [0, 1, 2] * 12
    names = [f"p{number}" for number in rng.integers(0, most, 36)] if most else [""] * 36
    logits = rng.normal(size=(36, 3)) + 1.2 * np.eye(3)[truth]
    first, second = (make_table(truth, softmax(logits + rng.normal(size=(36, 3))), names) for _ in range(2))
    found = compare_predictions(first, second, ("a", "b", "c")).differences
    groups = len(set(names)) if most else 36
    sizes = pd.Series(names).value_counts().to_numpy() if most else np.ones(36)
    per_class = [len({g for g, k in zip(names, truth, strict=True) if k == c}) if most else 12 for c in range(3)]
    even = 9 / sum(1 / count for count in per_class)
    added = {
        "accuracy": 2 / (36**2 / (sizes**2).sum()) ** 2,
        "balanced_accuracy": 2 / even**2,
        "macro_f1": 2 / even**2,
        "mcc": 8 / even**2,
        "log_loss": 0.0,
        "brier": 0.0,
        "roc_auc": 0.0,
    }
    whole, rest = deleted_values(first, second)
    for name, extra in added.items():
        bounds = students_interval(whole[name], [values[name] for values in rest], extra)
        assert [found[name].low, found[name].high] == pytest.approx(bounds, abs=1e-9), name
        assert found[name].n_eff == groups
    assert found["calibration_error"].low is None


def test_mcnemar_over_independent_images_is_the_exact_binomial_test() -> None:
    truth = [0] * 20
    sure, other = np.array([[0.9, 0.1]] * 20), np.array([[0.9, 0.1]] * 20)
    sure[:2], other[2:9] = sure[:2, ::-1], other[2:9, ::-1]
    found = compare_predictions(make_table(truth, sure, [""] * 20), make_table(truth, other, [""] * 20), ("a", "b"))
    test = found.mcnemar
    assert (test.first_only, test.second_only) == (7, 2)
    assert test.p_value == pytest.approx(stats.binomtest(2, 9, 0.5).pvalue, rel=1e-12)
    assert test.method == "exact McNemar"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=10))
def test_the_test_over_groups_is_that_of_a_slow_loop_over_all_swaps(leads: list[int]) -> None:
    far = [
        abs(sum(sign * lead for sign, lead in zip(signs, leads, strict=True))) >= abs(sum(leads))
        for signs in itertools.product((-1, 1), repeat=len(leads))
    ]
    assert swap_p_value(np.array(leads)) == pytest.approx(sum(far) / len(far), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30))
def test_with_one_image_a_group_the_test_over_groups_is_mcnemars(ahead: int, behind: int) -> None:
    assume(ahead + behind)
    leads = np.array([1] * ahead + [-1] * behind + [0] * 5)
    assert swap_p_value(leads) == pytest.approx(stats.binomtest(ahead, ahead + behind, 0.5).pvalue, rel=1e-9)


def test_the_test_over_groups_nears_the_chi_squared_one_of_obuchowski() -> None:
    leads = np.random.default_rng(1).integers(-3, 4, 300)
    statistic = leads.sum() ** 2 / (leads**2).sum()
    assert swap_p_value(leads) == pytest.approx(stats.chi2.sf(statistic, 1), rel=0.1)


def test_equal_tables_differ_by_nothing_but_not_for_sure() -> None:
    table = make_table([0, 1] * 20, softmax(np.random.default_rng(0).normal(size=(40, 2))), [""] * 40)
    found = compare_predictions(table, table, ("a", "b"))
    accuracy = found.differences["accuracy"]
    assert accuracy.low == pytest.approx(-accuracy.high)
    assert 0 < accuracy.high < 0.1
    assert found.differences["log_loss"].reason == "the groups do not differ in it"
    assert found.mcnemar.p_value == 1.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table[1:], "1 are missing in the second, such as '0.png'"),
        (lambda table: table.assign(label="a"), "agree on the column 'label'; '1.png' has 'b' in the first"),
        (lambda table: table.assign(group="g"), "agree on the column 'group'"),
        (lambda table: pd.concat([table, table[:1]]), "the second predictions hold '0.png' twice"),
    ],
)
def test_tables_of_other_images_are_refused(change, said: str) -> None:
    table = make_table([0, 1], np.array([[0.9, 0.1], [0.2, 0.8]]), ["", ""])
    with pytest.raises(InputError, match=said):
        compare_predictions(table, change(table), ("a", "b"))


def test_repeats_are_matched_and_belong_to_one_image() -> None:
    table = make_table([0, 1] * 10, softmax(np.random.default_rng(0).normal(size=(20, 2))), [""] * 20)
    twice = pd.concat([table.assign(repeat=str(number)) for number in range(2)])
    assert compare_predictions(twice, twice, ("a", "b")).groups == 20


def test_an_unpaired_difference_rests_on_both_intervals() -> None:
    first = Metric(0.9, 0.8, 0.95, "clopper-pearson", 50.0)
    second = Metric(0.7, 0.6, 0.79, "clopper-pearson", 80.0)
    found = difference_of(first, second)
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2 - math.sqrt(0.1**2 + 0.09**2))
    assert found.high == pytest.approx(0.2 + math.sqrt(0.05**2 + 0.1**2))
    assert (found.method, found.n_eff) == ("mover", 50.0)
    assert difference_of(first, Metric(None, None, None, None, None, "no images")).reason == "no images"
    assert difference_of(first, Metric(0.5, None, None, "x", None, "none")).low is None


def simulate(images: int, groups: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Answers of two models right 0.85 and 0.8 of the time, alike within groups and between the models."""
    patient = rng.integers(0, groups, images) if groups else np.arange(images)
    ease = rng.normal(size=patient.max() + 1)[patient] if groups else np.zeros(images)
    common = rng.normal(size=images)
    scores = []
    for share in (0.85, 0.8):
        own = rng.normal(size=images)
        is_right = (ease + common + own) / (3 if groups else 2) ** 0.5 < stats.norm.ppf(share)
        scores.append(np.where(is_right[:, None], [0.8, 0.2], [0.2, 0.8]))
    truth = rng.integers(0, 2, images)
    turned = [np.where(truth[:, None] == 1, score[:, ::-1], score) for score in scores]
    names = [f"p{number}" for number in patient] if groups else [""] * images
    return make_table(truth.tolist(), turned[0], names), make_table(truth.tolist(), turned[1], names)


@pytest.mark.slow
@pytest.mark.parametrize(("images", "groups"), [(40, 0), (120, 0), (120, 25)])
def test_intervals_of_differences_cover_as_they_say(images: int, groups: int) -> None:
    rng, covered = np.random.default_rng(4), {"accuracy": 0, "balanced_accuracy": 0}
    for _ in range(400):
        found = compare_predictions(*simulate(images, groups, rng), ("a", "b")).differences
        for name in covered:
            covered[name] += found[name].low <= 0.05 <= found[name].high
    assert all(number >= 0.93 * 400 for number in covered.values()), covered
