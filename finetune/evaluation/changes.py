"""What became of a network's metrics from one set of images to another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from finetune.evaluation.comparing import difference_of
from finetune.evaluation.result import Evaluation, Metric, undefined

OVER_CLASSES = ("balanced_accuracy", "macro_f1", "roc_auc")
"""Means over the classes that have images: of other classes they are other measures."""


@dataclass(frozen=True)
class Change:
    """One metric on the run's own test part and here; `label` is None for one over all classes."""

    metric: str
    label: str | None
    own: Metric
    here: Metric
    difference: Metric
    """Here minus own."""

    @property
    def record(self) -> dict[str, Any]:
        """The same as numbers and text by column; what does not exist is None, with the reason."""
        return {
            "metric": self.metric,
            "class": self.label,
            "own": self.own.value,
            "own_low": self.own.low,
            "own_high": self.own.high,
            "here": self.here.value,
            "here_low": self.here.low,
            "here_high": self.here.high,
            "difference": self.difference.value,
            "low": self.difference.low,
            "high": self.difference.high,
            "reason": self.difference.reason,
        }


def find_changes(own: Evaluation, here: Evaluation) -> tuple[Change, ...]:
    """The change of every metric, overall ones first, then class by class; both are of the same classes."""
    return tuple(_changes(own, here))


def _changes(own: Evaluation, here: Evaluation) -> Iterator[Change]:
    present = [{label for label, images in one.support.items() if images} for one in (own, here)]
    for name, metric in own.overall.items():
        other = here.overall[name]
        difference = difference_of(other, metric)
        if name in OVER_CLASSES and present[0] != present[1]:
            missing = ", ".join(repr(label) for label in sorted(present[0] ^ present[1]))
            difference = undefined(f"the two are means over different classes (not in both: {missing})")
        yield Change(name, None, metric, other, difference)
    for label in own.labels:
        for name, metric in own.per_class[label].items():
            other = here.per_class[label][name]
            yield Change(name, label, metric, other, difference_of(other, metric))
