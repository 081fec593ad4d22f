"""Which head is chosen, on features made so that it is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from finetune.features import StoredSource
from finetune.training import TailData
from finetune.training.head_choice import HeadChoice, compare_heads

WIDTH, PLAIN = 24, 8


def data_with_signal(places: slice, images: int = 90, views: int = 1) -> TailData:
    """Three classes that only the features at `places` tell apart."""
    drawn = np.random.default_rng(0).normal(size=(images, views, WIDTH)).astype(np.float32)
    targets = np.arange(images) % 3
    centers = 2 * np.random.default_rng(1).normal(size=(3, WIDTH)).astype(np.float32)
    drawn[:, :, places] += centers[targets][:, None, places]
    return TailData(StoredSource([drawn], torch.from_numpy(targets), torch.device("cpu")), None, 3)


def compared(data: TailData) -> HeadChoice:
    tail = nn.Sequential(nn.Linear(WIDTH, 3))
    choice = compare_heads(tail, PLAIN, tail, data, seed=0)
    assert isinstance(choice, HeadChoice)
    return choice


def test_signal_in_earlier_stages_makes_it_multi_stage() -> None:
    choice = compared(data_with_signal(slice(0, WIDTH - PLAIN), views=2))
    assert choice.is_multi_stage
    assert choice.folds == 5
    assert choice.multi_stage_loss < 0.4 < math.log(3) - 0.2 < choice.plain_loss
    assert choice.sentence == (
        "Head: multi-stage; in 5-fold cross-validation on the training images its log loss is "
        f"{choice.multi_stage_loss:.3f}, that of linear {choice.plain_loss:.3f}."
    )


def test_signal_in_the_last_features_alone_leaves_it_linear() -> None:
    choice = compared(data_with_signal(slice(WIDTH - PLAIN, WIDTH)))
    assert not choice.is_multi_stage
    assert choice.plain_loss < choice.multi_stage_loss < 1
    assert choice.sentence.startswith("Head: linear; in 5-fold cross-validation on the training images its log loss")


def test_too_few_images_to_compare_leave_it_linear() -> None:
    choice = compared(data_with_signal(slice(0, WIDTH), images=3))
    assert not choice.is_multi_stage
    assert "too few" in choice.sentence


def test_a_choice_never_sees_validation() -> None:
    data = data_with_signal(slice(0, WIDTH))
    watched = TailData(data.train, Forbidden(), 3)  # type: ignore[arg-type]
    assert compared(watched) == compared(data)


class Forbidden:
    def __getattr__(self, name: str) -> None:
        pytest.fail(f"validation was asked for {name}")
