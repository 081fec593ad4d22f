"""What an evaluation yields: numbers with their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PER_CLASS_METRICS = ("precision", "recall", "f1", "specificity", "npv", "roc_auc", "average_precision")
OVERALL_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "mcc",
    "roc_auc",
    "log_loss",
    "brier",
    "calibration_error",
)


@dataclass(frozen=True)
class Metric:
    """One number, low <= value <= high; all None with a reason where it does not exist.

    `classes` names those that an average is over where these are not all of them. `expected_if_calibrated` is the
    calibration error that a model whose confidences are true would be expected to show on as many images.
    """

    value: float | None
    low: float | None
    high: float | None
    method: str | None
    n_eff: float | None
    reason: str | None = None
    classes: tuple[str, ...] | None = None
    expected_if_calibrated: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """Every number of one split; `confusion_matrix` has a row per true label, a column per predicted one."""

    task: str
    split: str
    images: int
    groups: int
    labels: tuple[str, ...]
    per_class: Mapping[str, Mapping[str, Metric]]
    overall: Mapping[str, Metric]
    confusion_matrix: NDArray[np.int64]
    warnings: tuple[str, ...]
    repeats: int = 1
    """Answers of each image; the confusion matrix counts them all."""

    @property
    def support(self) -> Mapping[str, int]:
        """Images of each true label."""
        counts = self.confusion_matrix.sum(axis=1) // self.repeats
        return {label: int(count) for label, count in zip(self.labels, counts, strict=True)}


def undefined(reason: str) -> Metric:
    """A metric that does not exist here, and why."""
    return Metric(None, None, None, None, None, reason)
