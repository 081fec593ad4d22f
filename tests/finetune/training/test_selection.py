"""The epoch whose weights are kept: the latest within an error of the best, never worse than the solved head."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.utils.class_weight import compute_sample_weight
from torch import nn

from finetune.features import StoredSource
from finetune.training.selection import Judgement, Kept, validate

TWENTIETHS = st.integers(0, 20).map(lambda number: number / 20)


@example(zero=0.5, judged=[(0.45, 0.1), (0.52, 0.1)])  # within the doubt, but above the solved head
@given(
    zero=st.none() | TWENTIETHS,
    judged=st.lists(st.tuples(TWENTIETHS, st.floats(0, 0.2)), min_size=1, max_size=12),
)
def test_the_latest_of_those_that_cannot_be_told_from_the_best_is_kept(
    zero: float | None, judged: list[tuple[float, float]]
) -> None:
    epochs = ([] if zero is None else [(0, zero, 0.05)]) + [(1 + place, *one) for place, one in enumerate(judged)]
    kept, chosen = Kept(), -1
    for epoch, loss, error in epochs:
        chosen = epoch if kept.judge(epoch, Judgement(loss, error, 0.5)) else chosen
    least = min(loss for _, loss, _ in epochs)
    doubt = next(error for _, loss, error in epochs if loss == least)
    ceiling = math.inf if zero is None else zero
    assert chosen == max(epoch for epoch, loss, _ in epochs if loss <= min(least + doubt, ceiling))


def test_without_validation_images_the_last_epoch_is_kept() -> None:
    kept = Kept()
    assert [kept.judge(epoch, validate(nn.Identity(), None)) for epoch in (1, 2)] == [True, True]


def test_a_judgement_weighs_classes_alike_and_is_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    targets = np.array([0] * 40 + [1] * 15 + [2] * 5)
    logits = generator.normal(size=(60, 1, 3)).astype(np.float32)
    logits[np.arange(60), 0, targets] += 1
    judged = validate(nn.Identity(), StoredSource([logits], torch.from_numpy(targets), torch.device("cpu")))
    predicted, scores = logits[:, 0].argmax(1), torch.from_numpy(logits[:, 0]).double().softmax(1).numpy()
    assert judged.accuracy == pytest.approx(balanced_accuracy_score(targets, predicted))
    weights = compute_sample_weight("balanced", targets)
    assert judged.loss == pytest.approx(log_loss(targets, scores, sample_weight=weights))
    losses = -np.log(scores[np.arange(60), targets])
    errors = [losses[targets == one].std() / (targets == one).sum() ** 0.5 for one in range(3)]
    assert judged.error == pytest.approx(math.sqrt(sum(error**2 for error in errors)) / 3)
