"""Writes every report file of one predictions table."""

from pathlib import Path

import pandas as pd

from finetune.evaluation import Evaluation, evaluate_predictions, labels_of, normalise_predictions
from finetune.evaluation.split import read_split, select_split
from finetune.files import write_bytes, write_csv, write_json, write_text
from finetune.reporting.context import ReportContext
from finetune.reporting.figures import FIGURE_NAMES, draw_figures
from finetune.reporting.page import render_page
from finetune.reporting.tables import report_json, report_table, report_text

REPORTED_SPLIT = "test"


def write_report(folder: Path, predictions: pd.DataFrame, context: ReportContext | None = None) -> Evaluation:
    """Write report.txt, report.csv, report.json, report.html and figures/ of the test split into `folder`.

    The files depend on the arguments alone: the same table and context give the same bytes.
    """
    context = context or ReportContext()
    table = normalise_predictions(predictions)
    labels = context.labels or labels_of(table)
    evaluation = evaluate_predictions(table, labels, split=REPORTED_SPLIT, confidence=context.confidence)
    rows = select_split(table, REPORTED_SPLIT)
    warnings = tuple(dict.fromkeys((*context.warnings, *evaluation.warnings)))
    part = read_split(table, labels, REPORTED_SPLIT, context.confidence)
    figures = draw_figures(evaluation, part, context.history)

    folder.mkdir(parents=True, exist_ok=True)
    _write_figures(folder / "figures", figures)
    write_text(folder / "report.txt", report_text(rows, labels))
    write_csv(folder / "report.csv", report_table(evaluation))
    write_json(folder / "report.json", report_json(evaluation, warnings, context.leakage, context.freeze))
    write_text(folder / "report.html", render_page(evaluation, rows, context, warnings, figures))
    return evaluation


def _write_figures(folder: Path, figures: dict[str, bytes]) -> None:
    """Write the figures; one of an earlier report that no longer applies is removed."""
    folder.mkdir(exist_ok=True)
    for name in FIGURE_NAMES:
        path = folder / f"{name}.png"
        if name in figures:
            write_bytes(path, figures[name])
        else:
            path.unlink(missing_ok=True)
