"""Holds what a recipe says of single classes against the classes there are."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.errors import InputError
from finetune.evaluation.grades import grade_order
from finetune.evaluation.predictions import calibrated_column
from recipes import EvaluateSettings
from recipes.nearest import nearest

Floats = NDArray[np.float64]
_SUM_TOLERANCE = 0.01
_NAMES_SHOWN = 6


def check_classes_named(settings: EvaluateSettings, labels: Sequence[str]) -> None:
    """Raise InputError, with every fault at once, where the recipe names what is no class, or not all it must."""
    faults = [
        f"{place}: {name!r} is none of the {len(labels)} classes; {_hint(name, labels)}"
        for place, name in _names(settings)
        if name not in labels
    ]
    if not faults:
        for key in ("prevalence", "trained_prevalence"):
            faults += _share_faults(f"evaluate.{key}", getattr(settings, key), labels)
        if settings.order and len(settings.order) < len(labels):
            absent = [label for label in labels if label not in settings.order]
            faults.append(f"evaluate.order: must name every class; {_listed(absent)} missing")
    own = {calibrated_column(label): label for label in labels}
    faults += [
        f"evaluate.subgroups: the column {column!r} is that of calibrated scores of {own[column]!r}; rename it"
        for column in settings.subgroups
        if column in own
    ]
    if faults:
        raise InputError("\n  ".join(faults if len(faults) == 1 else ["the recipe does not fit the classes:", *faults]))
    grade_order(labels, settings)


def complete_shares(stated: Mapping[str, float], labels: Sequence[str]) -> Floats:
    """The shares of all classes, (classes,), adding up to 1; one that is not stated gets the rest."""
    rest = max(0.0, 1 - sum(stated.values()))
    shares = np.array([stated.get(label, rest) for label in labels], dtype=np.float64)
    return np.asarray(shares / shares.sum(), dtype=np.float64)


def _names(settings: EvaluateSettings) -> list[tuple[str, str]]:
    """Every name of a class with the key that holds it."""
    mappings = ("target_sensitivity", "target_specificity", "prevalence", "trained_prevalence", "cost")
    named = [(f"evaluate.{key}", name) for key in mappings for name in getattr(settings, key)]
    named += [(f"evaluate.cost.{truth}", answer) for truth, row in settings.cost.items() for answer in row]
    return named + [("evaluate.order", name) for name in settings.order]


def _hint(name: str, labels: Sequence[str]) -> str:
    meant = nearest(name, labels, cutoff=0.0 if len(labels) <= _NAMES_SHOWN else 0.4)
    return f"did you mean {meant!r}?" if meant else f"classes: {_listed(labels)}"


def _share_faults(key: str, shares: Mapping[str, float], labels: Sequence[str]) -> list[str]:
    absent = [label for label in labels if label not in shares]
    if not shares:
        return []
    if len(absent) > 1:
        return [f"{key}: name all classes but one at most, which gets the rest; {_listed(absent)} missing"]
    total = sum(shares.values())
    if not absent and abs(total - 1) > _SUM_TOLERANCE:
        return [f"{key}: the shares of all classes must add up to 1, here {total:g}"]
    return []


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
