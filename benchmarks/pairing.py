"""Differences of pairs, with their interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy import stats


@dataclass(frozen=True)
class Difference:
    """A mean difference over pairs and its 95 % interval, which is None with fewer than two pairs."""

    value: float
    low: float | None
    high: float | None
    pairs: int

    @property
    def points(self) -> str:
        """In points of a hundred: '+1.2 (-0.3 to +2.7)'."""
        text = f"{100 * self.value:+.1f}"
        if self.low is None or self.high is None:
            return text
        return f"{text} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """`ours` minus `theirs`, pair by pair, with Student's interval of the mean."""
    found = [one - other for one, other in zip(ours, theirs, strict=True)]
    if len(found) < 2:
        return Difference(mean(found), None, None, len(found))
    reach = float(stats.t.ppf(0.975, len(found) - 1)) * stdev(found) / len(found) ** 0.5
    return Difference(mean(found), mean(found) - reach, mean(found) + reach, len(found))
