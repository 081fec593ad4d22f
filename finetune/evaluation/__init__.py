"""Honest numbers from a predictions table: each with its interval."""

from finetune.evaluation.changes import Change, find_changes
from finetune.evaluation.comparing import difference_of
from finetune.evaluation.evaluating import evaluate_predictions
from finetune.evaluation.predictions import labels_of, normalise_predictions, read_predictions, score_column
from finetune.evaluation.result import Evaluation, Metric

__all__ = [
    "Change",
    "Evaluation",
    "Metric",
    "difference_of",
    "evaluate_predictions",
    "find_changes",
    "labels_of",
    "normalise_predictions",
    "read_predictions",
    "score_column",
]
