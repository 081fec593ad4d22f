"""A running average of the weights that learn."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential average, step by step, of the parameters that require a gradient; frozen ones never enter it.

    Source: Polyak and Juditsky 1992; the exponential form as in Tarvainen and Valpola 2017.
    """

    def __init__(self, model: nn.Module, decay: float, earlier: Mapping[str, Tensor] | None = None) -> None:
        """Start from `earlier` where it knows a parameter, else from the parameter itself."""
        self.decay = decay
        self.learning = {name: held for name, held in model.named_parameters() if held.requires_grad}
        known = earlier or {}
        self.values = {name: known.get(name, held).detach().clone() for name, held in self.learning.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move every average towards the present value of its parameter after `step`, counted from 0.

        Early steps move it by more, so that where it began is forgotten in time.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.values.values()), list(self.learning.values()), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Lend the averages to the model."""
        present = {name: held.detach().clone() for name, held in self.learning.items()}
        self._fill(self.values)
        try:
            yield
        finally:
            self._fill(present)

    @torch.no_grad()
    def _fill(self, values: Mapping[str, Tensor]) -> None:
        for name, held in self.learning.items():
            held.copy_(values[name])
