"""Renders the report as one offline page."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from finetune.evaluation import Evaluation
from finetune.evaluation.result import PER_CLASS_METRICS
from finetune.reporting import galleries, views
from finetune.reporting.answers import list_answers
from finetune.reporting.context import ReportContext
from finetune.reporting.sentences import percent
from finetune.reporting.thumbnails import data_uri

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(
    evaluation: Evaluation,
    rows: pd.DataFrame,
    context: ReportContext,
    warnings: Sequence[str],
    figures: Mapping[str, bytes],
) -> str:
    """The page: no request; its one style and one script are named by their hashes in the content-security policy."""
    environment, style = open_templates()
    environment.filters |= {"number": views.format_number, "percent": percent, "bar": views.Bar.of}
    environment.filters["unbroken"] = lambda sentence: sentence.replace(" %", "\N{NO-BREAK SPACE}%")
    return environment.get_template("page.html.j2").render(
        **style,
        **_with_hash("script", "script.js"),
        evaluation=evaluation,
        confidence=percent(context.confidence),
        warnings=warnings,
        figures={name: data_uri(content, "image/png") for name, content in figures.items()},
        metric_names=PER_CLASS_METRICS,
        words=views.METRIC_WORDS,
        **_parts(evaluation, rows, context),
    )


def open_templates() -> tuple[Environment, dict[str, str]]:
    """The templates, everything escaped, and what each needs for its styles: `style`, and its `style_hash`."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["whole"] = lambda number: f"{number:,}"
    return environment, _with_hash("style", "style.html.j2")


def _with_hash(name: str, file: str) -> dict[str, str]:
    """The text of a file, and its hash as a content-security policy names it."""
    text = (_TEMPLATES / file).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return {name: text, f"{name}_hash": f"sha256-{digest}"}


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
