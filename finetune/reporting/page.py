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
from finetune.reporting import views
from finetune.reporting.change_view import change_view
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
    """The page: no script, no request, every style named by its hash in the content-security policy."""
    environment, style = open_templates()
    environment.filters |= {"number": views.format_number, "percent": percent, "bar": views.Bar.of}
    return environment.get_template("page.html.j2").render(
        **style,
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
    style = (_TEMPLATES / "style.html.j2").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return environment, {"style": style, "style_hash": f"sha256-{digest}"}


def _parts(evaluation: Evaluation, rows: pd.DataFrame, context: ReportContext) -> dict[str, Any]:
    return {
        "headlines": views.headlines(evaluation),
        "classes": views.class_stories(evaluation, context.confidence),
        "table_classes": views.weakest(evaluation, views.TABLE_CLASSES),
        "heat": views.heat_map(evaluation),
        "confusions": views.largest_confusions(evaluation),
        "mistakes": views.worst_mistakes(rows, context),
        "mistake_count": int((rows["label"] != rows["predicted"]).sum()),
        "findings": views.findings(context.findings, context),
        "freeze": views.freeze_table(context.freeze),
        "leakage": context.leakage,
        "change": change_view(context.change),
        "recipe_text": context.recipe_text,
        "facts": views.facts(context.environment),
    }
