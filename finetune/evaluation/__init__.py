"""Honest numbers from a predictions table, each with its interval, and what they mean for decisions."""

from finetune.evaluation.calibrating import with_calibrated_scores
from finetune.evaluation.changes import Change, find_changes
from finetune.evaluation.comparing import Comparison, McNemar, compare_predictions, difference_of
from finetune.evaluation.deciding import Decisions, evaluate_decisions
from finetune.evaluation.evaluating import evaluate_predictions
from finetune.evaluation.naming import check_classes_named
from finetune.evaluation.predictions import (
    calibrated_column,
    labels_of,
    normalise_predictions,
    read_predictions,
    score_column,
)
from finetune.evaluation.prevalence import TrainedFor
from finetune.evaluation.result import Evaluation, Metric

__all__ = [
    "Change",
    "Comparison",
    "Decisions",
    "Evaluation",
    "McNemar",
    "Metric",
    "TrainedFor",
    "calibrated_column",
    "check_classes_named",
    "compare_predictions",
    "difference_of",
    "evaluate_decisions",
    "evaluate_predictions",
    "find_changes",
    "labels_of",
    "normalise_predictions",
    "read_predictions",
    "score_column",
    "with_calibrated_scores",
]
