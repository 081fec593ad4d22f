"""How images and batches are dealt out over processes that train together."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from finetune.errors import InputError
from finetune.features.stored import DealtArray
from finetune.ranks import ALONE, Ranks
from finetune.training import TailFitter
from recipes import TrainSettings


def process(number: int, count: int) -> Ranks:
    """One of several, as far as it deals out; it has nobody to talk to."""
    accelerator: Any = SimpleNamespace(process_index=number, num_processes=count)
    return Ranks(accelerator)


@given(items=st.integers(0, 50), count=st.integers(1, 7))
def test_every_item_falls_to_one_process(items: int, count: int) -> None:
    shares = [process(number, count).own(range(items)) for number in range(count)]
    assert sorted(place for share in shares for place in share) == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(images=st.integers(1, 30), views=st.integers(1, 3), count=st.integers(1, 5), data=st.data())
def test_a_dealt_array_reads_as_the_whole_one(images: int, views: int, count: int, data: st.DataObject) -> None:
    whole = np.arange(images * views * 2, dtype=np.float32).reshape(images, views, 2)
    shares = [whole[number::count] for number in range(min(count, images))]
    dealt = DealtArray(shares)
    rows = np.array(data.draw(st.lists(st.integers(0, images - 1), max_size=20)), dtype=np.int64)
    looks = np.array([data.draw(st.integers(0, views - 1)) for _ in rows], dtype=np.int64)
    assert dealt.shape == whole.shape
    assert len(dealt) == images
    np.testing.assert_array_equal(dealt[rows, looks], whole[rows, looks])


@given(
    targets=st.lists(st.integers(0, 2), min_size=1, max_size=13),
    count=st.integers(2, 5),
    smoothing=st.sampled_from([0.0, 0.1]),
    is_balanced=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_mean_of_the_shares_of_a_loss_is_the_loss(
    targets: list[int], count: int, smoothing: float, is_balanced: bool, seed: int
) -> None:
    """DistributedDataParallel takes the mean of gradients; a process without an image of the batch counts nothing."""
    whole = torch.tensor(targets)
    logits = torch.randn((len(targets), 3), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weights = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64) if is_balanced else None

    def loss(ranks: Ranks) -> float:
        own = list(ranks.own(range(len(targets)))) or [0]
        fitter = fitter_of(ranks, smoothing)
        fitter._class_weights = weights
        return float(fitter._loss(logits[own], whole[own], whole))

    shares = [loss(process(number, count)) for number in range(count)]
    assert np.mean(shares) == pytest.approx(loss(ALONE), rel=1e-12)


def fitter_of(ranks: Ranks, smoothing: float) -> TailFitter:
    settings, plan = TrainSettings(label_smoothing=smoothing), SimpleNamespace(trainable_parameters=())
    return TailFitter(nn.Linear(2, 3), plan, settings, 0, {}, ranks=ranks)  # type: ignore[arg-type]


def test_batch_statistics_are_not_shared() -> None:
    tail = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    with pytest.raises(InputError, match=r"1 BatchNorm layers \(1, ...\).*freeze.tail_norm=fixed"):
        process(0, 2).share(tail)


def test_a_batch_is_shared_evenly_or_not_at_all() -> None:
    process(1, 4).check_batch(8)
    with pytest.raises(InputError, match="batch_size is 10, which 4 processes.*--batch-size 12"):
        process(1, 4).check_batch(10)
