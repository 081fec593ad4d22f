"""What the page shows of decisions: plain sentences, and tables cut to what a reader can take in."""

from dataclasses import dataclass
from typing import Any

from finetune.evaluation import Decisions, Evaluation, Metric
from finetune.evaluation.calibrating import Calibration
from finetune.evaluation.costs import Costs
from finetune.evaluation.operating import SENSITIVITY, OperatingPoint
from finetune.evaluation.patients import ByGroup
from finetune.evaluation.prevalence import Prevalence
from finetune.evaluation.subgroups import Subgroup
from finetune.reporting.sentences import percent
from finetune.reporting.views import METRIC_WORDS, format_number

CLASSES_SHOWN = 8
"""More classes than these get no columns of their own; report.json holds them all."""
ROWS_SHOWN = 40
_POINT_WORDS = {"sensitivity": "sensitivity", "specificity": "specificity", "ppv": "PPV", "npv": "NPV"}
_SCORES = {
    "mean": "the mean of its images' scores",
    "max": "the highest of its images' scores",
    "vote": "the share of its images that were answered so",
}
_BY_GROUP = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "quadratic_kappa")


@dataclass(frozen=True)
class Point:
    """One operating point in plain words, with its bars."""

    title: str
    rule: str
    found: str
    measures: tuple[tuple[str, Metric], ...]
    elsewhere: tuple[tuple[str, Metric], ...]
    caution: str | None


def describe_decisions(decisions: Decisions, evaluation: Evaluation, confidence: float) -> dict[str, Any]:
    """The parts of the page on decisions, each None where nothing was asked for or can be told."""
    return {
        "points": None if decisions.thresholds is None else [_point(one, confidence) for one in decisions.thresholds],
        "grades": None if decisions.order is None else (decisions.order, evaluation.overall["quadratic_kappa"]),
        "calibration": _calibration(decisions.calibration),
        "costs": None if decisions.costs is None else _costs(decisions.costs, decisions),
        "prevalence": None if decisions.prevalence is None else _prevalence(decisions.prevalence, decisions),
        "by_group": None if decisions.by_group is None else _by_group(decisions.by_group, evaluation),
        "subgroups": None if decisions.subgroups is None else _subgroups(decisions),
    }


def _point(point: OperatingPoint, confidence: float) -> Point:
    title = f"{point.label} at a {point.target} of {percent(point.wanted)} %"
    if point.threshold is None:
        return Point(title, f"No threshold: {point.reason}.", "", (), (), None)
    kind = "of the class" if point.target == SENSITIVITY else "of other classes"
    reached = point.validation[point.target].value or 0.0
    done = "found" if point.target == SENSITIVITY else "left alone"
    images = f"{point.images} validation image{'' if point.images == 1 else 's'} {kind}"
    rule = (
        f"Call an image {point.label} where its score is {format_number(point.threshold)} or more. "
        f"Chosen on {images}, {percent(reached)} % of them {done}."
    )
    if point.folds > 1:
        rule = (
            f"Each of {point.folds} folds has a threshold of its own, chosen on at least {images}; their median is "
            f"{format_number(point.threshold)}. On validation {percent(reached)} % were {done}."
        )
    counts, found = point.counts, point.test["sensitivity"]
    positives, others = counts["found"] + counts["missed"], counts["false_calls"] + counts["cleared"]
    text = f"On test it finds {counts['found']} of {positives} ({_with_interval(found, confidence)}) and calls "
    text += f"{counts['false_calls']} of {others} other images so by mistake."
    measures = tuple((_POINT_WORDS[name], metric) for name, metric in point.test.items())
    elsewhere = tuple((_POINT_WORDS[name], metric) for name, metric in point.at_prevalence.items())
    return Point(title, rule, text, measures, elsewhere, next(iter(point.warnings), None))


def _with_interval(metric: Metric, confidence: float) -> str:
    if metric.value is None or metric.low is None or metric.high is None:
        return metric.reason or "undefined"
    ends = f"{percent(metric.low)} to {percent(metric.high)} %"
    return f"{percent(metric.value)} %, {percent(confidence)} % interval {ends}"


def _calibration(calibration: Calibration) -> dict[str, Any] | None:
    temperature, value = calibration.temperature, calibration.temperature.value
    if not calibration.bins_before:
        return None
    if value is None:
        text = f"No calibrated scores: {temperature.reason}."
    else:
        manner = "too sure of itself" if value > 1 else "not sure enough of itself"
        judged = (
            f"so the model was {manner}" if f"{value:.2f}" != "1.00" else "so the scores are as sure as they should be"
        )
        images = f"{temperature.images} validation images"
        text = f"Fitted on {images}, the temperature is {value:.2f}, {judged}."
        if temperature.by_fold is not None:
            text = (
                f"Fitted for each fold on its own validation images, the median temperature is {value:.2f}, {judged}."
            )
    return {
        "text": text,
        "is_fitted": value is not None,
        "rows": [
            (METRIC_WORDS[name], metric, calibration.after.get(name)) for name, metric in calibration.before.items()
        ],
        "bins": list(zip(calibration.bins_before, calibration.bins_after or calibration.bins_before, strict=True)),
    }


def _costs(costs: Costs, decisions: Decisions) -> dict[str, Any]:
    labels = decisions.labels
    few = len(labels) <= CLASSES_SHOWN
    shares = " The classes count by their stated shares." if decisions.prevalence is not None else ""
    scores = "calibrated scores" if decisions.calibration.temperature.value is not None else "plain scores"
    return {
        "matrix": [(label, [f"{cost:g}" for cost in row]) for label, row in zip(labels, costs.matrix, strict=True)]
        if few
        else None,
        "labels": labels,
        "plain": costs.plain,
        "cheapest": costs.cheapest,
        "reason": costs.reason,
        "changed": costs.changed,
        "scores": scores,
        "shares": shares,
    }


def _prevalence(prevalence: Prevalence, decisions: Decisions) -> dict[str, Any]:
    shares = sorted(zip(decisions.labels, prevalence.stated, strict=True), key=lambda pair: -pair[1])[:ROWS_SHOWN]
    trained = prevalence.trained_for
    by_label = {} if trained is None else dict(zip(decisions.labels, trained.shares, strict=True))
    plain, other = prevalence.plain, prevalence.reweighted
    return {
        "rows": [
            {
                "label": label,
                "stated": percent(share),
                "trained": percent(by_label[label]) if by_label else None,
                "plain": plain.per_class[label],
                "reweighted": None if other is None else other.per_class[label],
            }
            for label, share in shares
        ],
        "hidden": len(decisions.labels) - len(shares),
        "source": None if trained is None else trained.source,
        "accuracy": plain.accuracy,
        "reweighted_accuracy": None if other is None else other.accuracy,
        "changed": prevalence.changed,
        "reason": prevalence.reason,
        "scores": "calibrated scores" if decisions.calibration.temperature.value is not None else "scores",
    }


def _by_group(by_group: ByGroup, evaluation: Evaluation) -> dict[str, Any]:
    grouped = by_group.evaluation
    classes = evaluation.labels if len(evaluation.labels) <= CLASSES_SHOWN else ()
    rows: list[tuple[str, Metric, Metric]] = []
    if grouped is not None:
        known = [name for name in _BY_GROUP if name in evaluation.overall]
        rows += [(METRIC_WORDS[name], evaluation.overall[name], grouped.overall[name]) for name in known]
        for label in classes:
            images, groups = evaluation.per_class[label], grouped.per_class[label]
            rows += [
                (f"{METRIC_WORDS[name]} of {label}", images[name], groups[name]) for name in ("recall", "precision")
            ]
    return {
        "score": _SCORES[by_group.score],
        "groups": 0 if grouped is None else grouped.images,
        "images": evaluation.images,
        "rows": rows,
        "warnings": by_group.warnings,
    }


def _subgroups(decisions: Decisions) -> list[dict[str, Any]]:
    labels = decisions.labels if len(decisions.labels) <= CLASSES_SHOWN else ()
    shown = []
    for column, values in (decisions.subgroups or {}).items():
        largest = sorted(values, key=lambda one: -one.images)[:ROWS_SHOWN]
        rows: list[Subgroup] = [one for one in values if one in largest]
        shown.append({"column": column, "labels": labels, "rows": rows, "hidden": len(values) - len(rows)})
    return shown
