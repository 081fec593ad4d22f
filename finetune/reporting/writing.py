"""Writes every report file of one predictions table."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from data_tools.private import make_private_folder
from finetune.evaluation import Evaluation, evaluate_decisions, labels_of, normalise_predictions
from finetune.evaluation.evaluating import evaluate_split
from finetune.evaluation.split import read_split, select_split
from finetune.files import write_bytes, write_csv, write_json, write_text
from finetune.reporting.context import ReportContext
from finetune.reporting.decision_tables import decisions_json
from finetune.reporting.figures import FIGURE_NAMES, draw_figures
from finetune.reporting.markdown import model_card, report_markdown
from finetune.reporting.page import render_page
from finetune.reporting.tables import change_table, report_json, report_table, report_text, spread_over_folds

REPORTED_SPLIT = "test"


def write_report(folder: Path, predictions: pd.DataFrame, context: ReportContext | None = None) -> Evaluation:
    """Write report.txt, .csv, .json, .md and .html, and figures/, of the test split into `folder`.

    A model that lies in `folder` gets its card; where the context tells a change, that is in change.csv too. The files
    depend on the arguments alone: the same table and context give the same bytes.
    """
    context = context or ReportContext()
    table = normalise_predictions(predictions)
    labels = context.labels or labels_of(table)
    decisions = evaluate_decisions(table, labels, context.evaluate, split=REPORTED_SPLIT, trained=context.trained)
    part = read_split(table, labels, REPORTED_SPLIT, context.confidence)
    evaluation = evaluate_split(part, REPORTED_SPLIT, decisions.order)
    evaluation = replace(evaluation, warnings=(*evaluation.warnings, *decisions.warnings))
    rows = select_split(table, REPORTED_SPLIT)
    warnings = tuple(dict.fromkeys((*context.warnings, *evaluation.warnings)))
    figures = draw_figures(evaluation, part, decisions.calibration, context)

    make_private_folder(folder)
    _write_figures(folder / "figures", figures)
    write_text(folder / "report.txt", report_text(rows, labels))
    write_csv(folder / "report.csv", report_table(evaluation))
    report = report_json(evaluation, decisions_json(decisions), warnings, context.leakage, context.freeze)
    if context.folds is not None:
        report["cross_validation"] = spread_over_folds(context.folds)
    if context.change is not None:
        report["change"] = [dict(row) for row in context.change]
        write_csv(folder / "change.csv", change_table(context.change))
    write_json(folder / "report.json", report)
    write_text(folder / "report.md", report_markdown(evaluation, warnings, context))
    write_text(folder / "report.html", render_page(evaluation, decisions, rows, context, warnings, figures))
    if (folder / "model" / "config.json").is_file():
        write_text(folder / "model" / "README.md", model_card(evaluation, warnings, context, folder / "model"))
    return evaluation


def _write_figures(folder: Path, figures: dict[str, bytes]) -> None:
    """Write the figures; one of an earlier report that no longer applies is removed."""
    make_private_folder(folder)
    for name in FIGURE_NAMES:
        path = folder / f"{name}.png"
        if name in figures:
            write_bytes(path, figures[name])
        else:
            path.unlink(missing_ok=True)
