"""Operating points: thresholds chosen on validation images for a wish, and what they do on the split reported."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.evaluating import proportion
from finetune.evaluation.prevalence import predictive_values
from finetune.evaluation.probabilities import NO_SCORES
from finetune.evaluation.result import Metric
from finetune.evaluation.split import Split
from recipes import EvaluateSettings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SENSITIVITY, SPECIFICITY = "sensitivity", "specificity"
FEW_IMAGES = 20
_NO_VALIDATION = "there are no validation images to choose it on"
_ROUNDING = 1e-9


@dataclass(frozen=True)
class OperatingPoint:
    """One threshold: an image is called `label` where its score of that class is at least `threshold`.

    Each fold of a cross-validation has one of its own, chosen on its own validation images; `threshold` is the median
    of those of so many `folds`, and `images` are those of the fold that has the fewest.

    `validation` and `test` hold sensitivity and specificity, `test` also PPV and NPV; `at_prevalence` holds these two
    at the class shares that the recipe states. `counts` are the images of test: found, missed, false_calls, cleared.
    """

    label: str
    target: str
    wanted: float
    threshold: float | None
    images: int
    """Validation images that the choice rests on: those of the class, or for a specificity the others."""
    validation: Mapping[str, Metric]
    test: Mapping[str, Metric]
    at_prevalence: Mapping[str, Metric]
    counts: Mapping[str, int]
    reason: str | None = None
    folds: int = 1

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before using the threshold."""
        if self.threshold is None or self.images >= FEW_IMAGES:
            return ()
        whose = "of the class" if self.target == SENSITIVITY else "of other classes"
        images = "one validation image" if self.images == 1 else f"{self.images} validation images"
        return (
            f"The threshold for the {self.target} of '{self.label}' was chosen on {images} {whose}; "
            f"with fewer than {FEW_IMAGES} it is a guess.",
        )


def sensitivity_threshold(positives: Floats, wanted: float) -> float:
    """The highest threshold at which at least the share `wanted` of `positives` scores as high; one of their scores.

    Images that score exactly the threshold are called, so ties can only raise the sensitivity.
    """
    needed = max(1, math.ceil(wanted * len(positives) - _ROUNDING))
    return float(np.sort(positives)[len(positives) - needed])


def specificity_threshold(negatives: Floats, wanted: float, seen: Floats) -> float:
    """The lowest of the `seen` scores at which at least the share `wanted` of `negatives` scores lower.

    Just above the highest where none of them will do.
    """
    needed = max(1, math.ceil(wanted * len(negatives) - _ROUNDING))
    edge = float(np.sort(negatives)[needed - 1])
    higher = seen[seen > edge]
    return float(higher.min()) if len(higher) else float(np.nextafter(edge, math.inf))


def evaluate_thresholds(
    validation: Split | None, part: Split, settings: EvaluateSettings, shares: Floats | None
) -> tuple[OperatingPoint, ...] | None:
    """Every operating point that the recipe asks for; None where it asks for none.

    `shares` are the stated shares of the classes, or None.
    """
    wishes = [(SENSITIVITY, label, wanted) for label, wanted in settings.target_sensitivity.items()]
    wishes += [(SPECIFICITY, label, wanted) for label, wanted in settings.target_specificity.items()]
    if not wishes:
        return None
    wishes.sort(key=lambda wish: (part.labels.index(wish[1]), wish[0]))
    return tuple(_find_point(validation, part, *wish, shares) for wish in wishes)


def _find_point(
    validation: Split | None, part: Split, target: str, label: str, wanted: float, shares: Floats | None
) -> OperatingPoint:
    k = part.labels.index(label)
    if validation is None or validation.scores is None or part.scores is None:
        reason = NO_SCORES if part.scores is None else _NO_VALIDATION
        return OperatingPoint(label, target, wanted, None, 0, {}, {}, {}, {}, reason)
    limits, images = _choose(validation, validation.scores[:, k], k, target, wanted)
    if not set(part.folds) <= limits.keys():
        whose = "of this class" if target == SENSITIVITY else "of another class"
        where = "" if len(set(part.folds)) == 1 else " of some fold"
        return OperatingPoint(label, target, wanted, None, 0, {}, {}, {}, {}, f"no validation image{where} is {whose}")
    called, is_positive = _calls(part.scores[:, k], part, limits), part.outcomes.truth == k
    return OperatingPoint(
        label=label,
        target=target,
        wanted=wanted,
        threshold=float(np.median(list(limits.values()))),
        images=images,
        validation=_found_and_cleared(
            validation, _calls(validation.scores[:, k], validation, limits), validation.outcomes.truth == k
        ),
        test=_found_and_cleared(part, called, is_positive) | _right_calls(part, called, is_positive),
        at_prevalence={} if shares is None else predictive_values(part, called, k, shares),
        counts={
            "found": int((called & is_positive).sum()),
            "missed": int((~called & is_positive).sum()),
            "false_calls": int((called & ~is_positive).sum()),
            "cleared": int((~called & ~is_positive).sum()),
        },
        folds=len(limits),
    )


def _choose(validation: Split, scores: Floats, k: int, target: str, wanted: float) -> tuple[dict[str, float], int]:
    """The threshold of each fold that has an image to choose it on, and the images of that which has the fewest."""
    limits, counts = dict[str, float](), list[int]()
    is_class = validation.outcomes.truth == k
    for fold in sorted(set(validation.folds)):
        own = validation.folds == fold
        chosen_on = scores[own & (is_class if target == SENSITIVITY else ~is_class)]
        if not len(chosen_on):
            continue
        counts.append(len(chosen_on))
        limits[fold] = (
            sensitivity_threshold(chosen_on, wanted)
            if target == SENSITIVITY
            else specificity_threshold(chosen_on, wanted, scores[own])
        )
    return limits, min(counts, default=0)


def _calls(scores: Floats, part: Split, limits: Mapping[str, float]) -> Bools:
    """Whether each row reaches the threshold of its fold."""
    return scores >= np.array([limits.get(fold, math.inf) for fold in part.folds])


def _found_and_cleared(part: Split, called: Bools, is_class: Bools) -> dict[str, Metric]:
    return {
        SENSITIVITY: proportion(part, called, is_class, "no image is of this class"),
        SPECIFICITY: proportion(part, ~called, ~is_class, "every image is of this class"),
    }


def _right_calls(part: Split, called: Bools, is_class: Bools) -> dict[str, Metric]:
    return {
        "ppv": proportion(part, is_class, called, "no image was called this class"),
        "npv": proportion(part, ~is_class, ~called, "every image was called this class"),
    }
