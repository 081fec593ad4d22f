"""What each part of the page shows, cut to what a reader can take in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from finetune.evaluation import Evaluation, Metric
from finetune.reporting.context import ReportContext
from finetune.reporting.sentences import answer_sentence, class_sentence
from finetune.reporting.thumbnails import thumbnail_uri

FEW_CLASSES = 24
"""Up to so many classes stand in their own order, each told in a sentence; more of them from the weakest on."""
HEAT_CLASSES = 20
HEAT_STEPS = 10
CONFUSIONS_SHOWN = 20
FINDINGS_SHOWN = 60
PAIRS_SHOWN = 6
METRIC_WORDS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "specificity": "specificity",
    "npv": "NPV",
    "roc_auc": "ROC area",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "mcc": "Matthews correlation",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "quadratic_kappa": "quadratic-weighted kappa",
}
_HEADLINES = {
    "balanced_accuracy": "the mean recall of the classes",
    "accuracy": "right answers among all images",
    "macro_f1": "the mean F1 of the classes",
    "roc_auc": "how well scores rank a class above the rest",
}


@dataclass(frozen=True)
class Bar:
    """A metric of 0 to 1 as lengths of 100."""

    start: str
    length: str
    mark: str

    @classmethod
    def of(cls, metric: Metric) -> "Bar | None":
        """None for a metric without an interval."""
        if metric.value is None or metric.low is None or metric.high is None:
            return None
        return cls(f"{100 * metric.low:.2f}", f"{100 * (metric.high - metric.low):.2f}", f"{99 * metric.value:.2f}")


@dataclass(frozen=True)
class Story:
    """One class in plain words, with its two bars."""

    label: str
    misses: str
    answers: str
    recall: Metric
    precision: Metric


def format_number(value: float | None) -> str:
    """Three decimals, a dash for what does not exist; never 1.000 or 0.000 for less than that."""
    if value is None:
        return "–"
    text = f"{value:.3f}"
    if text == "1.000" and value < 1:
        return ">0.999"
    return "<0.001" if text == "0.000" and value > 0 else text


def headlines(evaluation: Evaluation) -> list[tuple[str, str, Metric]]:
    """The numbers to read first: word, meaning, metric."""
    return [(METRIC_WORDS[name], meaning, evaluation.overall[name]) for name, meaning in _HEADLINES.items()]


def reading_order(evaluation: Evaluation) -> list[int]:
    """The classes in their own order where they are few, else those of lowest recall first."""
    everyone = range(len(evaluation.labels))
    if len(everyone) <= FEW_CLASSES:
        return list(everyone)
    recalls = [evaluation.per_class[label]["recall"].value for label in evaluation.labels]
    return sorted(everyone, key=lambda k: (2.0 if recalls[k] is None else recalls[k], k))


def class_stories(evaluation: Evaluation, confidence: float) -> list[Story]:
    """A sentence a class; where they are many, of the weakest only."""
    stories = []
    for k in reading_order(evaluation)[:FEW_CLASSES]:
        label = evaluation.labels[k]
        metrics = evaluation.per_class[label]
        misses = class_sentence(evaluation, k, confidence)
        answers = answer_sentence(evaluation, k, confidence)
        stories.append(Story(label, misses, answers, metrics["recall"], metrics["precision"]))
    return stories


def heat_map(evaluation: Evaluation) -> list[list[tuple[int, str]]] | None:
    """The confusion matrix with the shade of each cell; None where the classes are too many to show."""
    matrix = evaluation.confusion_matrix
    if len(matrix) > HEAT_CLASSES:
        return None
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    steps = np.ceil(shares * HEAT_STEPS).astype(int)
    return [
        [
            (int(number), f"{'hit' if row == column else 'miss'} h{steps[row, column]}")
            for column, number in enumerate(line)
        ]
        for row, line in enumerate(matrix)
    ]


def largest_confusions(evaluation: Evaluation) -> list[tuple[str, str, int, float]]:
    """True class, answer, images and share of the class, most frequent first."""
    matrix = evaluation.confusion_matrix.copy()
    np.fill_diagonal(matrix, 0)
    flat = matrix.ravel()
    order = np.argsort(-flat, kind="stable")[:CONFUSIONS_SHOWN]
    support = evaluation.confusion_matrix.sum(axis=1)
    pairs = [(*divmod(int(cell), len(matrix)), int(flat[cell])) for cell in order if flat[cell]]
    return [(evaluation.labels[t], evaluation.labels[p], n, n / float(support[t])) for t, p, n in pairs]


def findings(table: pd.DataFrame | None, context: ReportContext) -> dict[str, Any] | None:
    """How often each check spoke, the gravest rows, and pairs of pictures; None where no audit is known.

    A shared page tells how often, and no more.
    """
    if table is None:
        return None
    grave = {"error": 0, "warning": 1, "note": 2}
    rank = table["severity"].map(lambda severity: grave.get(str(severity), 3))
    ordered = table.assign(_rank=rank).sort_values("_rank", kind="stable")
    counts = ordered.groupby(["_rank", "severity", "check"], sort=True).size()
    return {
        "total": len(table),
        "counts": [(str(key[1]), str(key[2]), int(number)) for key, number in counts.items()],  # type: ignore[index]
        "rows": []
        if context.is_shared
        else ordered.drop(columns="_rank").head(FINDINGS_SHOWN).astype(str).to_dict("records"),
        "hidden": max(0, len(table) - FINDINGS_SHOWN),
        "pairs": _pictured_pairs(ordered, context),
    }


def _pictured_pairs(table: pd.DataFrame, context: ReportContext) -> list[dict[str, Any]]:
    """The gravest findings about two pictures, where both are at hand."""
    paired = table[(table["path"].astype(str) != "") & (table["other_path"].astype(str) != "")]
    rows = [{str(key): str(value) for key, value in row.items()} for row in paired.head(PAIRS_SHOWN).to_dict("records")]
    shown = [(row, [thumbnail_uri(context, row[name]) for name in ("path", "other_path")]) for row in rows]
    return [{**row, "pictures": pictures} for row, pictures in shown if all(pictures)]


def freeze_table(freeze: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Stages with their state and the proof; None where nothing is known of the freezing."""
    if freeze is None:
        return None
    stages = [
        {
            "name": str(stage.get("name")),
            "parameters": stage.get("parameters"),
            "frozen": bool(stage.get("frozen")),
        }
        for stage in freeze.get("stages", ())
    ]
    return {
        "policy": str(freeze.get("policy", "")),
        "stages": stages,
        "trainable": freeze.get("trainable_parameters"),
        "frozen": freeze.get("frozen_parameters"),
        "verified": freeze.get("verified"),
        "digest": str(freeze.get("frozen_sha256_after") or ""),
        "phases": [
            {
                "policy": str(phase.get("policy")),
                "epochs": f"{phase.get('first_epoch')} to {phase.get('last_epoch')}",
                "digest": str(phase.get("frozen_sha256_after") or ""),
                "verified": bool(phase.get("verified")),
            }
            for phase in freeze.get("phases", ())
        ],
    }


def facts(environment: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What is known of machine, versions and weights, one line each; lists of tensor names by their length."""
    lines: list[tuple[str, str]] = []
    for key, value in (environment or {}).items():
        if isinstance(value, Mapping):
            lines += [
                (f"{key}: {name}", str(len(inner) if isinstance(inner, list) else inner))
                for name, inner in value.items()
            ]
        elif value not in (None, "", [], ()):
            lines.append((str(key), " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)))
    return lines
