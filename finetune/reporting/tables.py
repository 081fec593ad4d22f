"""The report as text, as a table and as JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from sklearn.metrics import classification_report

from finetune.evaluation import Evaluation, Metric
from finetune.evaluation.predictions import FOLD, LABEL, PREDICTED, REPEAT
from finetune.evaluation.result import PER_CLASS_METRICS

SCHEMA = 1
FOLD_MEASURES = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def report_text(rows: pd.DataFrame, labels: tuple[str, ...]) -> str:
    """scikit-learn's classification report of the rows, to the letter."""
    truth, predicted = (rows[column].astype(str).tolist() for column in (LABEL, PREDICTED))
    names = list(labels)
    return str(classification_report(truth, predicted, labels=names, target_names=names, zero_division=0))


def report_table(evaluation: Evaluation) -> pd.DataFrame:
    """A row a class: support, then every metric with its bounds; undefined ones are empty.

    Names that a spreadsheet would run as a formula carry a leading apostrophe.
    """
    rows = []
    for label in evaluation.labels:
        row: dict[str, Any] = {"class": neutralise(label), "support": evaluation.support[label]}
        for name in PER_CLASS_METRICS:
            row |= with_bounds(name, evaluation.per_class[label][name])
        rows.append(row)
    return pd.DataFrame(rows)


def with_bounds(name: str, metric: Metric) -> dict[str, float | None]:
    """A metric as three columns of a table."""
    return {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}


def change_table(change: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A row a metric, as `Change.record` tells it; names are neutralised as in `report_table`."""
    return pd.DataFrame([{**row, "class": neutralise(str(row["class"] or ""))} for row in change])


def neutralise(cell: str) -> str:
    """`cell` as text that no spreadsheet runs."""
    flat = cell.replace("\r", " ")
    return f"'{flat}" if cell.startswith(_FORMULA_STARTS) else flat


def report_json(
    evaluation: Evaluation,
    decisions: Mapping[str, Any],
    warnings: tuple[str, ...],
    leakage: Mapping[str, int] | None,
    freeze: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The report in the published schema; nothing in it depends on clock or place.

    `decisions` holds its parts from `thresholds` to `subgroups`.
    """
    verified = None if freeze is None else freeze.get("verified")
    return {
        "schema": SCHEMA,
        "task": evaluation.task,
        "split": evaluation.split,
        "images": evaluation.images,
        "groups": evaluation.groups,
        "labels": list(evaluation.labels),
        "per_class": {
            label: {**metrics_json(evaluation.per_class[label]), "support": evaluation.support[label]}
            for label in evaluation.labels
        },
        "overall": metrics_json(evaluation.overall),
        "confusion_matrix": evaluation.confusion_matrix.tolist(),
        **decisions,
        "warnings": list(warnings),
        "freeze_verified": None if verified is None else bool(verified),
        "leakage": None if leakage is None else {key: int(value) for key, value in leakage.items()},
    }


def spread_over_folds(folds: pd.DataFrame) -> dict[str, Any]:
    """How many folds and repeats there were, and how far single folds lie apart: no interval, they share images."""
    spread = {}
    for name in FOLD_MEASURES:
        values = pd.to_numeric(folds[name]).dropna()
        if len(values):
            numbers = {
                "mean": values.mean(),
                "deviation": values.std(ddof=1),
                "low": values.min(),
                "high": values.max(),
            }
            spread[name] = {key: _finite(number) for key, number in numbers.items()}
    counts = {f"{name}s": int(pd.to_numeric(folds[name]).max()) for name in (FOLD, REPEAT)}
    return {**counts, "spread": spread}


def metrics_json(metrics: Mapping[str, Metric]) -> dict[str, dict[str, Any]]:
    """Metrics by name, as report.json holds them."""
    return {name: metric_json(metric) for name, metric in metrics.items()}


def metric_json(metric: Metric) -> dict[str, Any]:
    """One metric: numbers that are finite, and a reason where one is missing."""
    numbers = {"value": metric.value, "low": metric.low, "high": metric.high}
    entry: dict[str, Any] = {name: _finite(number) for name, number in numbers.items()}
    entry |= {"method": metric.method, "n_eff": _finite(metric.n_eff)}
    told: dict[str, Any] = {"reason": metric.reason, "expected_if_calibrated": metric.expected_if_calibrated}
    told["classes"] = None if metric.classes is None else list(metric.classes)
    return entry | {key: value for key, value in told.items() if value is not None}


def _finite(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else float(number)
