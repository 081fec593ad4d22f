"""What the commands print: tables and closing summaries."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from data_tools import Dataset
    from finetune.evaluation import Change, Evaluation, Metric
    from finetune.jobs.compare import ComparisonResult
    from finetune.jobs.cross_validate import CrossValidation
    from finetune.jobs.run import RunResult

_SHOWN_OF_CHECK = 3


def show_dataset(console: Console, dataset: "Dataset") -> None:
    """Images by class and split, and the findings."""
    from finetune.reporting.audit_page import count_classes

    table = Table(title=f"{len(dataset.table)} images", title_justify="left")
    for heading in ("class", "train", "val", "test", "skipped"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for row in count_classes(dataset):
        table.add_row(escape(row["label"]), *(str(count) for count in [*row["images"].values(), row["skipped"]]))
    console.print(table)
    show_findings(console, dataset.findings)


def show_findings(console: Console, findings: "pd.DataFrame") -> None:
    """The first findings of every check, how many there are, and what to do about errors and warnings."""
    from data_tools.advice import ADVICE

    for (severity, check), rows in findings.groupby(["severity", "check"], sort=False):
        for row in rows.head(_SHOWN_OF_CHECK).itertuples():
            paths = " ".join(str(path) for path in (row.path, row.other_path) if path)
            text = f"{severity:<8}{check}: {paths}{': ' if paths else ''}{row.detail}"
            console.print(text, markup=False, highlight=False)
        if len(rows) > _SHOWN_OF_CHECK:
            console.print(f"        ... and {len(rows) - _SHOWN_OF_CHECK} more (all in findings.csv)", highlight=False)
        if severity != "note":
            console.print(f"        -> {ADVICE[str(check)][1]}", markup=False, highlight=False)


def show_result(console: Console, result: "RunResult") -> None:
    """The per-class report, the proof and where to look next."""
    show_evaluation(console, result.evaluation)
    _show_proof(console, result.is_verified)
    show_paths(console, result.folder)
    if result.advice is not None:
        console.print(result.advice, markup=False, highlight=False)


def show_cross_validation(console: Console, result: "CrossValidation") -> None:
    """The per-class report of all folds together, their spread, the proof and where to look next."""
    show_evaluation(console, result.evaluation)
    from finetune.reporting.tables import spread_over_folds

    if spread := spread_over_folds(result.folds)["spread"].get("balanced_accuracy"):
        text = f"{spread['low']:.3f} to {spread['high']:.3f}, standard deviation {spread['deviation'] or 0.0:.3f}"
        console.print(f"balanced accuracy of the {len(result.folds)} folds: {text}", highlight=False)
    if result.folds["chosen"].nunique() > 1:
        counts = result.folds["chosen"].value_counts()
        told = "; ".join(f"{name} in {count}" for name, count in counts.items())
        console.print(f"chosen inside the folds: {told}", markup=False, highlight=False)
    _show_proof(console, result.is_verified)
    show_paths(console, result.folder)


def show_comparison(console: Console, result: "ComparisonResult") -> None:
    """A row a candidate, and which one to take."""
    table = Table()
    for heading in ("candidate", "trained parameters", "training, s", "balanced accuracy", "behind the best"):
        table.add_column(heading, justify="left" if heading == "candidate" else "right")
    for one in result.verdict.judged:
        numbers = [f"{one.compared.trainable_parameters:,}", f"{one.compared.tail_seconds:.1f}"]
        gap = "the best" if one.gap is None else _interval(one.gap)
        table.add_row(escape(one.compared.name), *numbers, _interval(one.evaluation.overall["balanced_accuracy"]), gap)
    console.print(table)
    console.print(result.verdict.sentence, markup=False, highlight=False)
    console.print(f"Comparison: {result.folder / 'compare.html'}", markup=False, highlight=False)


def _show_proof(console: Console, is_verified: bool) -> None:
    proof = "verified: every frozen byte is unchanged" if is_verified else "NOT VERIFIED: a frozen value moved"
    console.print(f"Freeze {proof}.", highlight=False)


def show_evaluation(console: Console, evaluation: "Evaluation") -> None:
    """Per-class recall, precision and F1 with intervals, and the overall numbers."""
    title = f"{evaluation.split}: {evaluation.images} images in {evaluation.groups} groups"
    table = Table(title=title, title_justify="left")
    for heading in ("class", "images", "recall", "precision", "F1"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for label in evaluation.labels:
        row = evaluation.per_class[label]
        numbers = [_interval(row[name]) for name in ("recall", "precision", "f1")]
        table.add_row(escape(label), str(evaluation.support[label]), *numbers)
    console.print(table)
    for name in ("accuracy", "balanced_accuracy", "roc_auc"):
        console.print(f"{name.replace('_', ' ')}: {_interval(evaluation.overall[name])}", highlight=False)
    for warning in evaluation.warnings:
        console.print(f"warning: {escape(warning)}", highlight=False)


def show_changes(console: Console, changes: "Sequence[Change]") -> None:
    """The overall metrics on the run's own test part and here."""
    table = Table(title="against the run's own test part", title_justify="left")
    for heading in ("metric", "own", "here", "difference"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    for change in changes:
        if change.label is None:
            told = [_interval(metric) for metric in (change.own, change.here, change.difference)]
            table.add_row(change.metric.replace("_", " "), *told)
    console.print(table)


def show_paths(console: Console, folder: Path) -> None:
    """Where the page lies."""
    console.print(f"Report: {folder / 'report.html'}", highlight=False)


def _interval(metric: "Metric") -> str:
    if metric.value is None:
        return "undefined"
    if metric.low is None or metric.high is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f})"
