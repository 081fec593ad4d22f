"""Deep grey values (16-bit, 32-bit, float) to the 256 levels that all later steps work with, by a declared rule.

Three rules. `bits`: the range that the file itself declares, by its bits or, in DICOM, by its window; values
without a declared range are refused. `range`: from `low` to `high`, the same for every deep image. `percentiles`: such
a range too, worked out once from the training images. A value v becomes floor(256 (v - low) / (high - low)), held
within 0 and 255: for whole bits that is their high byte, as of 16-bit colour.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data_tools.errors import DataError, ImageError

Pixels = NDArray[np.uint8]
Rule = Literal["bits", "range", "percentiles"]

QUANTILES = 201
"""Of so many quantiles of every deep image are the percentiles of the training part made: half a percent apart."""
_SAMPLED = 65_536
"""Values of an image that its quantiles are taken from."""


@dataclass(frozen=True)
class Scaling:
    """How deep values become levels. Raises DataError for bounds that are none."""

    rule: Rule = "bits"
    low: float | None = None
    """`range`: the value that becomes 0. `percentiles`: the percentile that does."""
    high: float | None = None
    bits: int | None = None
    """`bits`: so many bits of a whole number count, whatever the file declares."""

    def __post_init__(self) -> None:
        if self.rule == "bits":
            return
        if self.low is None or self.high is None or not self.low < self.high:
            raise DataError(f"data.scaling {self.rule}: needs two rising bounds, got {self.low} and {self.high}")
        if self.rule == "percentiles" and not 0 <= self.low < self.high <= 100:
            raise DataError(f"data.scaling percentiles: must lie within 0 and 100, got {self.low} and {self.high}")

    @property
    def is_open(self) -> bool:
        """Whether the training images must be known first."""
        return self.rule == "percentiles"

    @property
    def bounds(self) -> tuple[float, float]:
        """The two bounds of a rule that has them."""
        if self.low is None or self.high is None:
            raise ValueError(f"scaling by {self.rule} has no bounds")
        return self.low, self.high

    @cached_property
    def facts(self) -> str:
        """All that shapes a level, as JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    def settled(self, quantiles: Sequence[Sequence[float]]) -> "Scaling":
        """The range that the percentiles of these images give, each image counting alike; else the same scaling."""
        if not self.is_open or not quantiles:
            return self
        low, high = np.percentile(np.array(quantiles), self.bounds)
        if not low < high:
            raise DataError(
                f"data.scaling percentiles: {self.low:g} and {self.high:g} of the training images are both {low:g}; "
                "take percentiles further apart, or give a range"
            )
        return Scaling("range", float(low), float(high))


BITS = Scaling()
"""By the bits that each file declares."""


@dataclass(frozen=True, eq=False)
class Deep:
    """Grey values (height, width) of more than 256 levels, and what their file declares of them."""

    values: NDArray[Any]
    declared: tuple[float, float] | None = None
    """The least value, and the one past the largest, that the file says are possible."""
    shown: tuple[NDArray[Any], float, float] | None = None
    """DICOM: the values as the file wants them seen, and their bounds."""
    is_inverted: bool = False
    """The least value is white."""
    is_whole: bool = True
    """Whole numbers from 0 in `bits` bits."""

    def __post_init__(self) -> None:
        if self.values.dtype.kind == "f" and not np.isfinite(self.values).all():
            raise ImageError("holds values that are no finite numbers (NaN or infinite)")

    @property
    def quantiles(self) -> tuple[float, ...]:
        """QUANTILES of the values, evenly spaced from the least to the largest."""
        flat = self.values.reshape(-1)
        few = flat[:: max(1, len(flat) // _SAMPLED)]
        inner = np.quantile(few, np.linspace(0, 1, QUANTILES)[1:-1])
        return (float(flat.min()), *(float(one) for one in inner), float(flat.max()))


def to_levels(deep: Deep, scaling: Scaling) -> Pixels:
    """The levels (height, width) of deep values. Raises ImageError where no range is declared."""
    values, low, high = _bounded(deep, scaling)
    scaled = (values.astype(np.float64) - low) * (256.0 / (high - low))
    levels = np.clip(np.floor(scaled), 0, 255).astype(np.uint8)
    return 255 - levels if deep.is_inverted else levels


def _bounded(deep: Deep, scaling: Scaling) -> tuple[NDArray[Any], float, float]:
    if scaling.is_open:  # only to be looked at, until the training images are known
        least, most = float(deep.values.min()), float(deep.values.max())
        return deep.values, least, max(most, least + 1)
    if scaling.rule == "range":
        return deep.values, *scaling.bounds
    if deep.shown is not None:
        return deep.shown
    if scaling.bits is not None and deep.is_whole:
        return deep.values, 0.0, float(2**scaling.bits)
    if deep.declared is None:
        least, most = deep.values.min(), deep.values.max()
        raise ImageError(
            f"{deep.values.dtype} values ({least:g} to {most:g}) have no declared range; declare one for all such "
            f"images: --set data.scaling=range --set 'data.scaling_range=[{least:g}, {most:g}]'"
        )
    return deep.values, *deep.declared


def rescaled(deep: Deep, slope: float, intercept: float) -> Deep:
    """The values slope * v + intercept, with what is declared of them; 1 and 0 leave them as they are."""
    if slope == 1 and intercept == 0:
        return deep
    values = deep.values.astype(np.float64) * slope + intercept
    declared = None
    if deep.declared is not None:
        one, other = (bound * slope + intercept for bound in deep.declared)
        declared = (min(one, other), max(one, other))
    return replace(deep, values=values, declared=declared, is_whole=False)
