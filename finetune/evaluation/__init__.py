"""Honest numbers from a predictions table: each with its interval."""

from finetune.evaluation.evaluating import evaluate_predictions
from finetune.evaluation.predictions import labels_of, normalise_predictions, read_predictions, score_column
from finetune.evaluation.result import Evaluation, Metric

__all__ = [
    "Evaluation",
    "Metric",
    "evaluate_predictions",
    "labels_of",
    "normalise_predictions",
    "read_predictions",
    "score_column",
]
