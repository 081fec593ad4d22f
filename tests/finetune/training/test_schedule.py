"""The learning rate rises, falls, and never leaves its bounds."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from finetune.training import learning_rate_at
from finetune.training.schedule import epoch_rate_at


@given(total=st.integers(1, 500), warmup=st.integers(0, 100), peak=st.floats(1e-6, 1.0))
def test_the_rate_stays_between_zero_and_its_peak_and_ends_at_a_hundredth(total: int, warmup: int, peak: float) -> None:
    rates = [learning_rate_at(step, total, warmup, peak) for step in range(total)]
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in rates)
    falling = rates[warmup:]
    assert falling == sorted(falling, reverse=True)
    assert learning_rate_at(max(total, warmup), total, warmup, peak) <= peak * (0.01 + 1e-9) or total <= warmup


def rates_of_torch(epochs: int, warmup: int, peak: float) -> list[float]:
    """Of torch's own schedulers, one after the other."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    cosine = CosineAnnealingLR(optimizer, T_max=epochs - warmup, eta_min=peak / 100)
    schedulers = [cosine]
    if warmup:
        schedulers.insert(0, LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup))
    whole = SequentialLR(optimizer, schedulers, milestones=[warmup] if warmup else [])
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        whole.step()
    return rates


@given(epochs=st.integers(1, 100), warmup=st.integers(0, 6), peak=st.floats(1e-6, 1.0))
def test_by_epoch_it_is_what_torchs_schedulers_give(epochs: int, warmup: int, peak: float) -> None:
    rates = [epoch_rate_at(epoch, epochs, warmup, peak) for epoch in range(epochs)]
    assert rates == pytest.approx(rates_of_torch(epochs, min(warmup, epochs - 1), peak), rel=1e-12)
    assert max(rates) == pytest.approx(peak)
