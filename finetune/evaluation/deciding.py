"""Turns scores into decisions: calibration, thresholds, costs, class shares, groups and subgroups, in one look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.evaluation.calibrating import FITTED_ON, Calibration, calibrate, evaluate_calibration, fit_split
from finetune.evaluation.costs import Costs, cost_matrix, evaluate_costs
from finetune.evaluation.grades import grade_order
from finetune.evaluation.naming import check_classes_named, complete_shares
from finetune.evaluation.operating import OperatingPoint, evaluate_thresholds
from finetune.evaluation.patients import ByGroup, evaluate_by_group
from finetune.evaluation.predictions import normalise_predictions
from finetune.evaluation.prevalence import Prevalence, TrainedFor, evaluate_prevalence, reweight
from finetune.evaluation.probabilities import why_no_probabilities
from finetune.evaluation.split import Split, find_split, read_split
from finetune.evaluation.subgroups import Subgroup, evaluate_subgroups, subgroup_warnings
from recipes import EvaluateSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Decisions:
    """What the `evaluate` section of a recipe asks for beside the plain numbers; None for what it does not ask for."""

    labels: tuple[str, ...]
    order: tuple[str, ...] | None
    """The classes by grade, where they are grades."""
    calibration: Calibration
    thresholds: tuple[OperatingPoint, ...] | None
    costs: Costs | None
    prevalence: Prevalence | None
    by_group: ByGroup | None
    subgroups: Mapping[str, tuple[Subgroup, ...]] | None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know first."""
        told = [*self.calibration.warnings]
        for point in self.thresholds or ():
            told += point.warnings
        told += self.by_group.warnings if self.by_group else ()
        return (*told, *subgroup_warnings(self.subgroups))


def evaluate_decisions(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    settings: EvaluateSettings,
    *,
    split: str = "test",
    trained: TrainedFor | None = None,
) -> Decisions:
    """Everything that follows from a predictions table and the `evaluate` section of a recipe.

    `trained` holds the class shares that the model was trained for, where more is known of it than the table; the
    recipe's own word wins, and the shares of the validation rows stand in. Raises InputError where the recipe names
    what is no class or no column.
    """
    names, table = tuple(labels), normalise_predictions(predictions)
    check_classes_named(settings, names)
    order = grade_order(names, settings)
    part = read_split(table, names, split, settings.confidence)
    validation = find_split(table, names, FITTED_ON, settings.confidence)
    temperature = fit_split(validation)
    calibrated = calibrate(part, temperature)
    trained = _trained_for(settings, names, trained, validation)
    stated = complete_shares(settings.prevalence, names) if settings.prevalence else None
    reason = why_no_probabilities(part.scores)
    prevalence = None if stated is None else evaluate_prevalence(part, calibrated, stated, trained, reason)
    costs = None
    if settings.cost:
        scores = _scores_for_costs(calibrated, prevalence)
        why = reason or (prevalence.reason if prevalence is not None else None)
        costs = evaluate_costs(part, scores, cost_matrix(settings.cost, names), stated, why)
    return Decisions(
        labels=names,
        order=order,
        calibration=evaluate_calibration(part, temperature),
        thresholds=evaluate_thresholds(validation, part, settings, stated),
        costs=costs,
        prevalence=prevalence,
        by_group=evaluate_by_group(table, part, split, settings.group_score, order),
        subgroups=evaluate_subgroups(table, names, settings.subgroups, split, settings.confidence),
    )


def _trained_for(
    settings: EvaluateSettings, labels: tuple[str, ...], known: TrainedFor | None, validation: Split | None
) -> TrainedFor | None:
    if settings.trained_prevalence:
        return TrainedFor(complete_shares(settings.trained_prevalence, labels), "stated in the recipe")
    if known is not None or validation is None:
        return known
    images = np.bincount(validation.outcomes.truth, minlength=len(labels)).astype(np.float64)
    return TrainedFor(images / images.sum(), "taken from the validation images, for want of better knowledge")


def _scores_for_costs(calibrated: Split, prevalence: Prevalence | None) -> Floats | None:
    """Calibrated scores, re-weighted where the recipe states other class shares."""
    if prevalence is None or prevalence.reweighted is None or prevalence.trained_for is None:
        return calibrated.scores
    assert calibrated.scores is not None
    return reweight(calibrated.scores, prevalence.trained_for.shares, prevalence.stated)
