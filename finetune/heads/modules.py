"""The parts of a head that looks at every stage: pools of maps, and a linear layer behind all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_EPS = 1e-6
"""Keeps the gradient of a standard deviation finite where a channel does not vary."""


class StatisticsPool(nn.Module):
    """Mean and standard deviation of each channel over the positions of a map, in float32 or wider.

    `axes`: those of the positions. (batch, channels, ...) or (batch, ..., channels) becomes
    (batch, 2 * channels); (batch, channels), the deviation alone, without `has_mean`.
    """

    def __init__(self, axes: Sequence[int], *, has_mean: bool = True) -> None:
        super().__init__()
        self.axes, self.has_mean = tuple(axes), has_mean

    def forward(self, values: Tensor) -> Tensor:
        """Pool one map or sequence of tokens."""
        wide = values.to(torch.promote_types(values.dtype, torch.float32))
        mean = wide.mean(self.axes, keepdim=True)
        variance = (wide - mean).square().mean(self.axes)  # a tenth of the time of torch.var_mean on a CPU
        deviation = (variance + _EPS).sqrt()
        return torch.cat([mean.flatten(1), deviation], 1) if self.has_mean else deviation

    def extra_repr(self) -> str:
        """What is pooled over what."""
        return f"axes={self.axes}, has_mean={self.has_mean}"


class MultiStageHead(nn.Module):
    """One linear layer on pooled vectors of `widths`, means and deviations apart.

    The last `plain_width` values are what the plain head is given.
    """

    def __init__(self, widths: Sequence[int], plain_width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.widths, self.plain_width = tuple(widths), plain_width
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(sum(widths), classes)

    def forward(self, *vectors: Tensor) -> Tensor:
        """Logits (batch, classes) of vectors (batch, width of each)."""
        logits: Tensor = self.fc(self.drop(torch.cat(vectors, 1)))
        return logits
