"""Which of several candidates to take, and whether the images can tell."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from finetune.evaluation import Evaluation, Metric, evaluate_predictions
from finetune.evaluation.comparing import Comparison, compare_predictions

MEASURES = ("balanced_accuracy", "accuracy", "macro_f1", "roc_auc", "log_loss")
CHOSEN_BY = "balanced_accuracy"


@dataclass(frozen=True, eq=False)
class Compared:
    """One candidate: scores of images that it had not seen, and what it costs."""

    name: str
    predictions: pd.DataFrame
    trainable_parameters: int
    trunk_seconds: float
    """Of features that were not in the store already."""
    tail_seconds: float
    """Of training on all folds."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A candidate with its numbers, and the best one's minus its own; None for the best one itself."""

    compared: Compared
    evaluation: Evaluation
    behind: Comparison | None

    @property
    def gap(self) -> Metric | None:
        """How far it lies behind the best one."""
        return None if self.behind is None else self.behind.differences[CHOSEN_BY]

    @property
    def is_told_apart(self) -> bool:
        """Whether the interval of its gap leaves no doubt that it lies behind."""
        return self.gap is not None and self.gap.low is not None and self.gap.low > 0


@dataclass(frozen=True, eq=False)
class Verdict:
    """Every candidate in the order given, the one to take, and a sentence that says why."""

    judged: tuple[Judged, ...]
    taken: str
    sentence: str
    labels: tuple[str, ...]


def judge_candidates(compared: Sequence[Compared], labels: Sequence[str], confidence: float) -> Verdict:
    """Compare every candidate with the one of highest balanced accuracy, on the same images, pair by pair.

    Of those that cannot be told from it the one that trains the fewest parameters is to be taken: the rule of one
    standard error (Breiman et al. 1984) with an interval of the paired difference in its place.
    """
    evaluations = [evaluate_predictions(one.predictions, labels, confidence=confidence) for one in compared]
    best = min(
        range(len(compared)), key=lambda place: (-_value(evaluations[place]), compared[place].trainable_parameters)
    )
    judged = []
    for place, (one, evaluation) in enumerate(zip(compared, evaluations, strict=True)):
        behind = None
        if place != best:
            behind = compare_predictions(compared[best].predictions, one.predictions, labels, confidence=confidence)
        judged.append(Judged(one, evaluation, behind))
    alike = [one for one in judged if not one.is_told_apart]
    taken = min(alike, key=lambda one: (one.compared.trainable_parameters, -_value(one.evaluation)))
    return Verdict(tuple(judged), taken.compared.name, _say(judged, best, taken), tuple(labels))


def _value(evaluation: Evaluation) -> float:
    value = evaluation.overall[CHOSEN_BY].value
    return -1.0 if value is None else value


def _say(judged: Sequence[Judged], best: int, taken: Judged) -> str:
    """The verdict in words."""
    first = judged[best]
    metric = first.evaluation.overall[CHOSEN_BY]
    what = f"balanced accuracy {metric.value:.3f} ({_bounds(metric)})"
    alike = [one.compared.name for one in judged if not one.is_told_apart and one is not first]
    images = first.evaluation.images
    if not alike:
        return f"Take {first.compared.name}: {what}, higher than every other by more than chance explains."
    if taken is first:
        return (
            f"Take {first.compared.name}: {what}. These {images} images cannot tell it from {_join(alike)}, "
            f"but it trains fewer parameters."
        )
    gap = taken.gap
    assert gap is not None
    return (
        f"Take {taken.compared.name}: it trains the fewest parameters ({taken.compared.trainable_parameters:,} against "
        f"{first.compared.trainable_parameters:,}), and these {images} images cannot tell it from "
        f"{first.compared.name}, which did best ({what}; {gap.value or 0.0:.3f} higher, {_bounds(gap)})."
    )


def _bounds(metric: Metric) -> str:
    return "no interval" if metric.low is None else f"interval {metric.low:.3f} to {metric.high:.3f}"


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
