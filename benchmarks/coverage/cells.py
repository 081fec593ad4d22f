"""What the intervals of many sets did: misses on each side and widths."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Cell:
    """Shares of sets whose interval missed the true value from above and from below, and its mean width.

    `relative_width` is a multiple of that of Clopper-Pearson at the true design effect, where there is one.
    """

    too_high: float
    too_low: float
    width: float
    relative_width: float | None = None

    @property
    def coverage(self) -> float:
        """The share of sets whose interval holds it."""
        return 1 - self.too_high - self.too_low

    def told(self) -> str:
        """Coverage, misses from above and below, mean width, as columns."""
        numbers = (self.coverage, self.too_high, self.too_low, self.width)
        relative = "" if self.relative_width is None else f" | {self.relative_width:.3f}"
        return " | ".join(f"{number:.4f}" for number in numbers) + relative


def judge_bounds(low: Floats, high: Floats, truth: float) -> Cell:
    """What the intervals of many sets did; `low` and `high`: (sets,)."""
    return Cell(float((low > truth).mean()), float((high < truth).mean()), float((high - low).mean()))
