"""The report for a pull request, and the card that goes with the model: Markdown, with everything escaped."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from data_tools.columns import SPLITS
from finetune.evaluation import Evaluation
from finetune.reporting import views
from finetune.reporting.context import ReportContext
from finetune.reporting.sentences import percent
from finetune.reporting.templating import open_markdown_templates

MARKDOWN_CLASSES = 60
"""Classes that stand in a table; of more, those of lowest recall."""
_CLASS_METRICS = ("recall", "precision", "f1", "specificity", "roc_auc")
_HUB_METRICS = {"mcc": "matthews_correlation", "macro_f1": "f1", "brier": "brier_score"}


def report_markdown(evaluation: Evaluation, warnings: Sequence[str], context: ReportContext) -> str:
    """Headline numbers, warnings first, the per-class table and the proof, short enough for a pull request."""
    return _render("report.md.j2", evaluation, warnings, context)


def model_card(evaluation: Evaluation, warnings: Sequence[str], context: ReportContext, model: Path) -> str:
    """The README.md of the folder `model` in the Hub's format: purpose, data, freezing, results and limits.

    A licence is left out, since nobody but the user knows it; so are metrics that are undefined.
    """
    architecture = json.loads((model / "config.json").read_text(encoding="utf-8"))["architecture"]
    name = f"{architecture}, {len(evaluation.labels)} classes"
    text = _render("model_card.md.j2", evaluation, warnings, context, name=name, data=_count_images(context.dataset))
    return f"---\n{_front_matter(evaluation, name)}---\n\n{text}"


def _render(template: str, evaluation: Evaluation, warnings: Sequence[str], context: ReportContext, **more: Any) -> str:
    environment = open_markdown_templates()
    text = environment.get_template(template).render(
        evaluation=evaluation,
        support=evaluation.support,
        warnings=warnings,
        confidence=percent(context.confidence),
        words=views.METRIC_WORDS,
        class_metrics=_CLASS_METRICS,
        shown_classes=[evaluation.labels[k] for k in views.reading_order(evaluation)[:MARKDOWN_CLASSES]],
        freeze=views.freeze_table(context.freeze),
        **more,
    )
    return f"{text}\n"


def _count_images(dataset: pd.DataFrame | None) -> dict[str, dict[str, int]] | None:
    """Usable images of each class in each part."""
    if dataset is None:
        return None
    used = dataset[dataset["status"] == "ok"]
    parts = [name for name in SPLITS if (used["split"] == name).any()]
    counts = used.groupby(["label", "split"]).size().to_dict()
    return {str(label): {part: int(counts.get((label, part), 0)) for part in parts} for label in used["label"].unique()}


def _front_matter(evaluation: Evaluation, name: str) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type="imagefolder",
            dataset_name=f"held-out images, {evaluation.split} part",
            dataset_split=evaluation.split,
            metric_type=_HUB_METRICS.get(metric_name, metric_name),
            metric_name=views.METRIC_WORDS[metric_name],
            metric_value=metric.value,
        )
        for metric_name, metric in evaluation.overall.items()
        if metric.value is not None
    ]
    data = ModelCardData(
        library_name="timm",
        pipeline_tag="image-classification",
        tags=["image-classification", "timm", "transfer-learning", "tailtune"],
        model_name=name,
        eval_results=results,
    )
    return f"{data.to_yaml(line_break=chr(10))}\n"
