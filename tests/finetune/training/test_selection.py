"""The epoch whose weights are kept: the latest within one standard error of the best, never below the solved head."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, log_loss
from torch import nn

from finetune.features import StoredSource
from finetune.training.selection import Judgement, Kept, validate

TWENTIETHS = st.integers(0, 20).map(lambda number: number / 20)


@example(zero=0.8, judged=[(0.85, 0.1), (0.78, 0.1)])  # within the doubt, but below the solved head
@given(
    zero=st.none() | TWENTIETHS,
    judged=st.lists(st.tuples(TWENTIETHS, st.floats(0, 0.2)), min_size=1, max_size=12),
)
def test_the_latest_of_those_that_cannot_be_told_from_the_best_is_kept(
    zero: float | None, judged: list[tuple[float, float]]
) -> None:
    epochs = ([] if zero is None else [(0, zero, 0.05)]) + [(1 + place, *one) for place, one in enumerate(judged)]
    kept, chosen = Kept(), -1
    for epoch, accuracy, error in epochs:
        is_kept, is_best = kept.judge(epoch, Judgement(1.0, accuracy, error))
        assert is_best == (accuracy > max((held for place, held, _ in epochs if place < epoch), default=-1))
        chosen = epoch if is_kept else chosen
    best = max(accuracy for _, accuracy, _ in epochs)
    doubt = next(error for _, accuracy, error in epochs if accuracy == best)
    fitting = [epoch for epoch, accuracy, _ in epochs if accuracy >= max(best - doubt, -1 if zero is None else zero)]
    assert chosen == max(fitting)


def test_without_validation_images_the_last_epoch_is_kept() -> None:
    kept = Kept()
    assert [kept.judge(epoch, validate(nn.Identity(), None)) for epoch in (1, 2)] == [(True, False)] * 2


def test_a_judgement_is_scikit_learns_with_the_binomial_error_of_each_recall() -> None:
    generator = np.random.default_rng(0)
    logits, targets = generator.normal(size=(60, 1, 3)).astype(np.float32), np.arange(60) % 3
    logits[np.arange(60), 0, targets] += 1
    judged = validate(nn.Identity(), StoredSource([logits], torch.from_numpy(targets), torch.device("cpu")))
    predicted, scores = logits[:, 0].argmax(1), torch.from_numpy(logits[:, 0]).double().softmax(1).numpy()
    assert judged.accuracy == pytest.approx(balanced_accuracy_score(targets, predicted))
    assert judged.loss == pytest.approx(log_loss(targets, scores))
    recalls = [(predicted[targets == one] == one).mean() for one in range(3)]
    assert judged.error == pytest.approx(math.sqrt(sum(recall * (1 - recall) / 20 for recall in recalls)) / 3)
