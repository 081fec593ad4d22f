"""The solved probe: against scikit-learn without a rotation, and where the data are too few."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from finetune.training.probe import STRENGTHS, ProbeData, solve_probe


def digits(count: int, classes: int = 3, views: int = 1) -> ProbeData:
    held = load_digits()
    rows = np.flatnonzero(held.target < classes)[:count]
    pixels = held.data[rows].astype(np.float32)
    noise = np.random.default_rng(0).normal(scale=0.5, size=(count, views - 1, 64)).astype(np.float32)
    features = np.concatenate([pixels[:, None], pixels[:, None] + noise], axis=1)
    return ProbeData(features, held.target[rows].astype(np.int64), np.arange(count), classes)


@pytest.mark.parametrize(("count", "classes", "views"), [(60, 3, 1), (60, 2, 1), (200, 3, 2), (40, 3, 4)])
def test_the_rotated_solution_is_scikit_learns_on_the_plain_features(count: int, classes: int, views: int) -> None:
    data = digits(count, classes, views)
    probe = solve_probe(data, seed=0)
    rows = data.features.reshape(-1, 64).astype(np.float64)
    scale = rows.std(0)
    varied = scale > 1e-4
    standard = (rows[:, varied] - rows[:, varied].mean(0)) / scale[varied]
    plain = LogisticRegression(C=probe.strength, class_weight="balanced", max_iter=5000, tol=1e-8)
    plain.fit(standard, np.repeat(data.targets, views), sample_weight=np.full(len(rows), 1 / views))
    logits = data.features[:, 0] @ probe.weight.T + probe.bias
    odds = np.exp(logits - logits.max(1, keepdims=True))
    expected = plain.predict_proba(standard.reshape(count, views, -1)[:, 0])
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), expected, atol=1e-3)


def test_the_bytes_do_not_depend_on_the_threads_of_blas() -> None:
    data = digits(600, 10, 2)
    made = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            made.append(solve_probe(data, seed=0))
    for probe in made[1:]:
        assert probe.weight.tobytes() == made[0].weight.tobytes()
        assert probe.loss == made[0].loss


def test_noise_asks_for_a_stronger_penalty_than_clear_classes() -> None:
    clear = digits(60)
    rng = np.random.default_rng(1)
    noise = ProbeData(rng.normal(size=(60, 1, 64)).astype(np.float32), clear.targets, clear.groups, 3)
    assert solve_probe(noise, 0).strength < solve_probe(clear, 0).strength


def test_groups_stay_together_so_that_copies_do_not_vote_for_a_weak_penalty() -> None:
    """Noise, every image five times: only folds that part the copies make remembering look like knowing."""
    rng = np.random.default_rng(2)
    features = np.repeat(rng.normal(size=(30, 1, 64)), 5, axis=0).astype(np.float32)
    targets = np.repeat(np.arange(30) % 2, 5).astype(np.int64)
    together = ProbeData(features, targets, np.repeat(np.arange(30), 5), 2)
    apart = ProbeData(features, targets, np.arange(150), 2)
    assert solve_probe(together, 0).strength == STRENGTHS[0]
    assert solve_probe(apart, 0).strength == STRENGTHS[-1]


def test_before_gradient_steps_the_strongest_penalty_of_those_that_cannot_be_told_apart_is_taken() -> None:
    data, rng = digits(200), np.random.default_rng(4)
    wrong = rng.random(200) < 0.2
    doubtful = replace(data, targets=np.where(wrong, rng.integers(0, 3, 200), data.targets))
    # blocks of one feature have the same scales as no blocks, so the rule alone makes the difference
    alone, before_steps = (solve_probe(replace(doubtful, blocks=blocks), 0) for blocks in ((), (1,) * 64))
    assert before_steps.strength < alone.strength
    assert np.abs(before_steps.weight).max() < np.abs(alone.weight).max()


def test_a_class_of_one_group_keeps_no_other_class_from_choosing_the_strength() -> None:
    data = digits(30)
    alone = np.where(data.targets == 2, -1, data.groups)
    probe = solve_probe(ProbeData(data.features, data.targets, alone, 3), 0)
    assert probe.folds == 5
    assert np.isfinite(probe.loss)
    logits = data.features[:, 0] @ probe.weight.T + probe.bias
    assert (logits.argmax(1) == data.targets).mean() > 0.9


def test_two_images_of_a_rare_class_do_not_take_the_search_from_the_others() -> None:
    """As with BASOPHIL in bccd_wbc: without a search noise would get the penalty of a clear case."""
    rng = np.random.default_rng(3)
    targets = np.array([0, 1] * 30 + [2, 2])
    noise = ProbeData(rng.normal(size=(62, 1, 64)).astype(np.float32), targets, np.arange(62), 3)
    assert solve_probe(noise, 0).strength == STRENGTHS[0]


def test_classes_of_one_group_each_leave_the_strength_unchosen() -> None:
    data = digits(30)
    probe = solve_probe(ProbeData(data.features, data.targets, data.targets, 3), 0)
    assert probe.folds == 0
    assert np.isfinite(probe.weight).all()


def test_a_class_without_images_is_never_answered() -> None:
    data = digits(40)
    probe = solve_probe(ProbeData(data.features, data.targets, data.groups, 5), 0)
    logits = data.features[:, 0] @ probe.weight.T + probe.bias
    assert set(logits.argmax(1)) <= {0, 1, 2}


@settings(max_examples=20, deadline=None)
@given(
    count=st.integers(4, 30), views=st.integers(1, 3), width=st.integers(1, 40), seed=st.integers(0, 99),
    constant=st.booleans(),
)  # fmt: skip
def test_any_features_give_finite_weights_and_the_same_twice(
    count: int, views: int, width: int, seed: int, constant: bool
) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, views, width)).astype(np.float32)
    if constant:
        features[..., 0] = 3.0
    targets = np.arange(count) % 2
    data = ProbeData(features, targets.astype(np.int64), rng.integers(0, max(2, count // 2), count), 2)
    first, second = solve_probe(data, seed), solve_probe(data, seed)
    assert np.isfinite(first.weight).all()
    assert np.isfinite(first.bias).all()
    assert first.weight.tobytes() == second.weight.tobytes()
