"""Renders the report as one offline page."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from finetune.evaluation import Decisions, Evaluation
from finetune.evaluation.result import PER_CLASS_METRICS
from finetune.reporting import galleries, views
from finetune.reporting.answers import list_answers
from finetune.reporting.change_view import change_view
from finetune.reporting.context import ReportContext
from finetune.reporting.decision_views import describe_decisions
from finetune.reporting.fold_views import curve_sentence, describe_folds, label_issues
from finetune.reporting.sentences import percent
from finetune.reporting.templating import inline, open_templates
from finetune.reporting.thumbnails import data_uri


def render_page(
    evaluation: Evaluation,
    decisions: Decisions,
    rows: pd.DataFrame,
    context: ReportContext,
    warnings: Sequence[str],
    figures: Mapping[str, bytes],
) -> str:
    """The page: no request; its one style and one script are named by their hashes in the content-security policy."""
    environment, style = open_templates()
    environment.filters["percent"] = percent
    environment.filters["unbroken"] = lambda sentence: sentence.replace(" %", "\N{NO-BREAK SPACE}%")
    return environment.get_template("page.html.j2").render(
        **style,
        **inline("script", "script.js"),
        evaluation=evaluation,
        confidence=percent(context.confidence),
        warnings=warnings,
        figures={name: data_uri(content, "image/png") for name, content in figures.items()},
        metric_names=PER_CLASS_METRICS,
        words=views.METRIC_WORDS,
        decisions=describe_decisions(decisions, evaluation, context.confidence),
        **_parts(evaluation, rows, context),
    )


def _parts(evaluation: Evaluation, rows: pd.DataFrame, context: ReportContext) -> dict[str, Any]:
    answers, labels = list_answers(rows, evaluation.labels), evaluation.labels
    heat, confusions = views.heat_map(evaluation), views.largest_confusions(evaluation)
    everywhere = [(truth, answer) for truth in labels for answer in labels] if heat is not None else []
    return {
        "headlines": views.headlines(evaluation),
        "classes": views.class_stories(evaluation, context.confidence),
        "table_classes": views.reading_order(evaluation),
        "support": evaluation.support,
        "heat": heat,
        "confusions": confusions,
        "findings": views.findings(context.findings, context),
        "freeze": views.freeze_table(context.freeze),
        "leakage": context.leakage,
        "change": change_view(context.change),
        "folds": describe_folds(context.folds),
        "curve_sentence": None if context.learning_curve is None else curve_sentence(context.learning_curve),
        "issues": label_issues(context.label_issues, context),
        "recipe_text": context.recipe_text,
        "facts": views.facts(context.environment),
        "is_shared": context.is_shared,
        **_pictures(answers, everywhere or [pair[:2] for pair in confusions], context),
    }


def _pictures(answers: pd.DataFrame, cells: list[galleries.Cell], context: ReportContext) -> dict[str, Any]:
    mistakes, uncertain = galleries.worst_mistakes(answers, context), galleries.most_uncertain(answers, context)
    shown = [*mistakes, *uncertain]
    return {
        "mistakes": mistakes,
        "mistake_count": int((answers["label"] != answers["predicted"]).sum()),
        "uncertain": uncertain,
        "has_pictures": any(image["thumbnail"] for image in shown),
        "has_overlays": any(image["overlay"] for image in shown),
        "images_behind": galleries.images_behind(cells, answers, context),
    }
