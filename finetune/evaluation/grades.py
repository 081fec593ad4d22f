"""Classes that are grades: their order, and how far answers lie from the truth."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.errors import InputError
from finetune.evaluation.counts import Outcomes, divide
from recipes import EvaluateSettings

Floats = NDArray[np.float64]
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def grade_order(labels: Sequence[str], settings: EvaluateSettings) -> tuple[str, ...] | None:
    """The classes from the least grade to the most; None where they are no grades.

    By the list that the recipe gives, else by the one number that each name holds ("grade 2" before "grade 10"). The
    order of sorted names, which puts "mild" before "none", is never taken for one of grades.
    Raises InputError where names hold no number, or equal ones.
    """
    if settings.order:
        return tuple(settings.order)
    if not settings.ordered:
        return None
    numbers = {label: _NUMBER.findall(label) for label in labels}
    if any(len(found) != 1 for found in numbers.values()) or len({float(n[0]) for n in numbers.values()}) < len(labels):
        some = ", ".join(labels[:4])
        raise InputError(
            "evaluate.ordered: the names of the classes do not tell their order (one number in each would); "
            f"give it, from least to most: --set evaluate.order='[{some}{', ...' if len(labels) > 4 else ''}]'"
        )
    return tuple(sorted(labels, key=lambda label: float(numbers[label][0])))


def quadratic_kappa(outcomes: Outcomes, places: NDArray[np.int64]) -> tuple[float, Floats]:
    """Cohen's kappa with squared distances between grades (Cohen, 1968), and its value without each group.

    `places` holds the grade (0, 1, ...) of each class. NaN where truth and answers are all one grade.
    """
    truth, answer = (places[values].astype(np.float64) for values in (outcomes.truth, outcomes.predicted))
    terms = np.stack([np.ones_like(truth), (truth - answer) ** 2, truth, answer, truth**2 + answer**2])
    by_group = np.stack([np.bincount(outcomes.group, weights=term, minlength=outcomes.groups) for term in terms])
    whole = by_group.sum(axis=1)
    return float(_kappa(whole)), _kappa(whole[:, None] - by_group)


def _kappa(sums: Floats) -> Floats:
    """From the sums of 1, squared distance, true grade, answered grade, and squares of both."""
    images, distance, truth, answer, squares = sums
    return 1 - divide(images * distance, images * squares - 2 * truth * answer)
