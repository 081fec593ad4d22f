"""The running average of what learns."""

import torch
from torch import nn

from finetune.training.averaging import WeightAverage


def test_the_average_is_that_of_all_steps_at_first_and_exponential_later() -> None:
    """A ramp of (1 + step) / (10 + step) forgets the start within some dozens of steps, then the decay holds."""
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1.0)
    average, expected = WeightAverage(model, 0.9), 1.0
    model.weight.data.fill_(0.0)
    for step in range(200):
        average.update(step)
        expected *= min(0.9, (1 + step) / (10 + step))
        torch.testing.assert_close(average.values["weight"], torch.tensor([[expected]]), rtol=1e-4, atol=1e-12)
    slow = WeightAverage(model, 0.999)
    model.weight.data.fill_(1.0)
    for step in range(50):
        slow.update(step)
    assert slow.values["weight"].item() > 0.99
    assert 1 - 0.999**50 < 0.05  # what it would be without the ramp


def test_frozen_weights_never_enter() -> None:
    model = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2))
    average = WeightAverage(model, 0.9)
    assert set(average.values) == {"1.weight", "1.bias"}
