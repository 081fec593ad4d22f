"""Decisions as parts of report.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation import Decisions
from finetune.evaluation.calibrating import FITTED_ON, Bin, Calibration
from finetune.evaluation.costs import Costs
from finetune.evaluation.operating import OperatingPoint
from finetune.evaluation.patients import ByGroup
from finetune.evaluation.prevalence import AnswersAtPrevalence, Prevalence
from finetune.evaluation.subgroups import Subgroup, subgroup_warnings
from finetune.reporting.tables import metric_json, metrics_json


def decisions_json(decisions: Decisions) -> dict[str, Any]:
    """The parts `thresholds`, `calibration`, `costs`, `prevalence`, `by_group` and `subgroups`; null if not asked for.

    Each holds the warnings that it gives rise to, under `warnings`.
    """
    return {
        "thresholds": _thresholds(decisions.thresholds),
        "calibration": _calibration(decisions.calibration),
        "costs": _costs(decisions.costs, decisions.labels),
        "prevalence": _prevalence(decisions.prevalence, decisions.labels),
        "by_group": _by_group(decisions.by_group),
        "subgroups": _subgroups(decisions.subgroups),
    }


def _thresholds(points: Sequence[OperatingPoint] | None) -> dict[str, Any] | None:
    if points is None:
        return None
    table: dict[str, dict[str, Any]] = {}
    for point in points:
        table.setdefault(point.label, {})[point.target] = {
            "wanted": point.wanted,
            "threshold": point.threshold,
            **_reason(point.reason),
            "chosen_on": {"split": FITTED_ON, "images": point.images, **metrics_json(point.validation)},
            **metrics_json(point.test),
            "at_prevalence": metrics_json(point.at_prevalence) or None,
            "images": dict(point.counts) or None,
            "warnings": list(point.warnings),
        }
    return table


def _calibration(calibration: Calibration) -> dict[str, Any]:
    temperature = calibration.temperature
    return {
        "temperature": temperature.value,
        "split": FITTED_ON,
        "images": temperature.images,
        **_reason(temperature.reason),
        "before": metrics_json(calibration.before),
        "after": metrics_json(calibration.after) or None,
        "bins": {
            "before": [_bin(one) for one in calibration.bins_before],
            "after": [_bin(one) for one in calibration.bins_after] or None,
        },
        "warnings": list(calibration.warnings),
    }


def _bin(one: Bin) -> dict[str, Any]:
    return {
        "low": one.low,
        "high": one.high,
        "images": one.images,
        "confidence": one.confidence,
        "share_right": one.right,
    }


def _costs(costs: Costs | None, labels: Sequence[str]) -> dict[str, Any] | None:
    if costs is None:
        return None
    return {
        "matrix": {label: _by_class(row, labels) for label, row in zip(labels, costs.matrix, strict=True)},
        "plain": metric_json(costs.plain),
        "cheapest": None if costs.cheapest is None else metric_json(costs.cheapest),
        **_reason(costs.reason),
        "changed": costs.changed,
        "confusion_matrix": None if costs.confusion_matrix is None else costs.confusion_matrix.tolist(),
    }


def _prevalence(prevalence: Prevalence | None, labels: Sequence[str]) -> dict[str, Any] | None:
    if prevalence is None:
        return None
    trained = prevalence.trained_for
    return {
        "stated": _by_class(prevalence.stated, labels),
        "trained_for": None if trained is None else _by_class(trained.shares, labels),
        "trained_for_source": None if trained is None else trained.source,
        "plain": _answers(prevalence.plain),
        "reweighted": None if prevalence.reweighted is None else _answers(prevalence.reweighted),
        **_reason(prevalence.reason),
        "changed": prevalence.changed,
    }


def _answers(answers: AnswersAtPrevalence) -> dict[str, Any]:
    per_class = {label: metrics_json(metrics) for label, metrics in answers.per_class.items()}
    return {"accuracy": metric_json(answers.accuracy), "per_class": per_class}


def _by_group(by_group: ByGroup | None) -> dict[str, Any] | None:
    if by_group is None:
        return None
    evaluation = by_group.evaluation
    numbers: dict[str, Any] = {"groups": 0, "per_class": None, "overall": None, "confusion_matrix": None}
    if evaluation is not None:
        numbers = {
            "groups": evaluation.images,
            "per_class": {
                label: {**metrics_json(metrics), "support": evaluation.support[label]}
                for label, metrics in evaluation.per_class.items()
            },
            "overall": metrics_json(evaluation.overall),
            "confusion_matrix": evaluation.confusion_matrix.tolist(),
        }
    return {
        "score": by_group.score,
        "left_out": list(by_group.left_out),
        **numbers,
        "warnings": list(by_group.warnings),
    }


def _subgroups(subgroups: Mapping[str, Sequence[Subgroup]] | None) -> dict[str, Any] | None:
    if subgroups is None:
        return None
    return {
        column: {
            "values": [_subgroup(one) for one in values],
            "warnings": list(subgroup_warnings({column: values})),
        }
        for column, values in subgroups.items()
    }


def _subgroup(one: Subgroup) -> dict[str, Any]:
    return {
        "value": one.value or None,
        "images": one.images,
        "groups": one.groups,
        "accuracy": metric_json(one.accuracy),
        "balanced_accuracy": metric_json(one.balanced_accuracy),
        "per_class": {
            label: {"recall": metric_json(recall), "support": one.support[label]}
            for label, recall in one.recall.items()
        },
        "caution": one.caution,
    }


def _by_class(numbers: NDArray[np.float64], labels: Sequence[str]) -> dict[str, float]:
    return {label: float(number) for label, number in zip(labels, numbers, strict=True)}


def _reason(reason: str | None) -> dict[str, str]:
    return {} if reason is None else {"reason": reason}
