"""The figures of a report, as PNG bytes that are the same every time."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.evaluation import Evaluation
from finetune.evaluation.probabilities import CALIBRATION_BINS, are_probabilities, calibration_bins
from finetune.evaluation.split import Split
from finetune.reporting.canvas import ACCENT, INK, MANY_CLASSES, SOFT, blank_axes, blank_figure, calm, plain, png
from finetune.reporting.curves import draw_precision_recall_curves, draw_roc_curves

Floats = NDArray[np.float64]
FIGURE_NAMES = ("confusion_matrix", "roc", "precision_recall", "reliability", "history")


def draw_figures(evaluation: Evaluation, part: Split, history: pd.DataFrame | None) -> dict[str, bytes]:
    """Every figure that the data allow, by name."""
    drawn = {"confusion_matrix": draw_confusion(evaluation)}
    if part.scores is not None:
        drawn["roc"] = draw_roc_curves(evaluation, part)
        drawn["precision_recall"] = draw_precision_recall_curves(evaluation, part)
        if are_probabilities(part.scores):
            drawn["reliability"] = draw_reliability(part.scores.max(axis=1), part)
    if history is not None and not history.empty:
        drawn["history"] = draw_history(history)
    return drawn


def draw_confusion(evaluation: Evaluation) -> bytes:
    """Images by true and predicted class, shaded by share of the row."""
    matrix = evaluation.confusion_matrix
    classes = len(matrix)
    side = min(3.2 + 0.45 * classes, 9.0)
    figure, axes = blank_axes(side, side)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if classes > MANY_CLASSES:
        axes.set_xticks([])
        axes.set_yticks([])
        return png(figure)
    names = [plain(label) for label in evaluation.labels]
    axes.set_xticks(range(classes), names, rotation=40, ha="right")
    axes.set_yticks(range(classes), names)
    for (row, column), number in np.ndenumerate(matrix):
        colour = "white" if shares[row, column] > 0.55 else INK
        axes.text(column, row, str(number), ha="center", va="center", color=colour, fontsize=9)
    return png(figure)


def draw_reliability(confidence: Floats, part: Split) -> bytes:
    """Share of right answers against confidence, with the images of each bin below."""
    is_right = (part.outcomes.predicted == part.outcomes.truth).astype(np.float64)
    bins = calibration_bins(confidence)
    images = np.bincount(bins, minlength=CALIBRATION_BINS)
    filled = images > 0
    said = np.bincount(bins, weights=confidence, minlength=CALIBRATION_BINS)[filled] / images[filled]
    right = np.bincount(bins, weights=is_right, minlength=CALIBRATION_BINS)[filled] / images[filled]
    figure = blank_figure(5, 5)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    upper.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 4)))
    upper.plot(said, right, color=ACCENT, linewidth=1.8, marker="o", markersize=5)
    upper.set_ylabel("share of right answers")
    upper.set_ylim(-0.02, 1.02)
    centres = (np.arange(CALIBRATION_BINS) + 0.5) / CALIBRATION_BINS
    lower.bar(centres, images, width=0.085, color=ACCENT, alpha=0.55)
    lower.set_ylabel("images")
    lower.set_xlabel("confidence of the answer")
    lower.set_xlim(0, 1)
    calm(upper)
    calm(lower)
    return png(figure)


def draw_history(history: pd.DataFrame) -> bytes:
    """Losses and validation accuracy over the epochs; epoch 0 is the network before its first step."""
    figure = blank_figure(8, 3.2)
    left, right = figure.subplots(1, 2)
    steps = history["epoch"].to_numpy()
    series = (
        (left, "train_loss", "training", SOFT),
        (left, "val_loss", "validation", ACCENT),
        (right, "val_balanced_accuracy", "validation", ACCENT),
    )
    for axes, column, name, colour in series:
        if column in history.columns:
            values = pd.to_numeric(history[column], errors="coerce").to_numpy(dtype=np.float64)
            axes.plot(steps, values, color=colour, label=name, linewidth=1.8, marker="o", markersize=3.5)
    for axes, title in ((left, "loss"), (right, "balanced accuracy")):
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        calm(axes)
    left.legend(frameon=False, fontsize=9)
    return png(figure)
