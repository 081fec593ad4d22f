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


def interval_around(mean: float, error: float, degrees: int) -> tuple[float, float]:
    """Student's 95 % interval of a mean with that standard error."""
    reach = float(stats.t.ppf(0.975, degrees)) * error
    return mean - reach, mean + reach


def paired_interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """The interval of the mean difference, as if the pairs were independent; None below two of them."""
    if len(differences) < 2:
        return None
    error = stdev(differences) / len(differences) ** 0.5
    return interval_around(mean(differences), error, len(differences) - 1)


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """`ours` minus `theirs`, pair by pair, with Student's interval of the mean."""
    found = [one - other for one, other in zip(ours, theirs, strict=True)]
    low, high = paired_interval(found) or (None, None)
    return Difference(mean(found), low, high, len(found))
