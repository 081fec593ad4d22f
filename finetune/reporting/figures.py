"""The figures of a report, as PNG bytes that are the same every time."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.evaluation import Evaluation
from finetune.evaluation.calibrating import Calibration
from finetune.evaluation.predictions import FOLD, REPEAT
from finetune.evaluation.split import Split
from finetune.reporting.canvas import (
    ACCENT,
    INK,
    MANY_CLASSES,
    PALETTE,
    SOFT,
    blank_axes,
    blank_figure,
    calm,
    plain,
    png,
)
from finetune.reporting.context import ReportContext
from finetune.reporting.curves import draw_precision_recall_curves, draw_roc_curves

Floats = NDArray[np.float64]
FIGURE_NAMES = ("confusion_matrix", "roc", "precision_recall", "reliability", "history", "learning_curve")


def draw_figures(
    evaluation: Evaluation, part: Split, calibration: Calibration, context: ReportContext
) -> dict[str, bytes]:
    """Every figure that the data allow, by name."""
    drawn = {"confusion_matrix": draw_confusion(evaluation)}
    if part.scores is not None:
        drawn["roc"] = draw_roc_curves(evaluation, part)
        drawn["precision_recall"] = draw_precision_recall_curves(evaluation, part)
        if calibration.bins_before:
            drawn["reliability"] = draw_reliability(calibration)
    if context.history is not None and not context.history.empty:
        drawn["history"] = draw_history(context.history)
    if context.learning_curve is not None:
        drawn["learning_curve"] = draw_learning_curve(context.learning_curve)
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


def draw_reliability(calibration: Calibration) -> bytes:
    """Share of right answers against confidence, before and after calibration, with the images of each bin below."""
    figure = blank_figure(5, 5)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    upper.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 4)))
    series = [(calibration.bins_before, "plain scores", ACCENT)]
    if calibration.bins_after:
        series.append((calibration.bins_after, "calibrated", PALETTE[1]))
    width = 0.085 / len(series)
    for place, (bins, name, colour) in enumerate(series):
        filled = [(one.confidence, one.right) for one in bins if one.images]
        upper.plot(*zip(*filled, strict=True), color=colour, linewidth=1.8, marker="o", markersize=5, label=name)
        shift = width * (place - (len(series) - 1) / 2)
        centres = [(one.low + one.high) / 2 + shift for one in bins]
        lower.bar(centres, [one.images for one in bins], width=width, color=colour, alpha=0.55)
    if len(series) > 1:
        upper.legend(frameon=False, fontsize=8, loc="upper left")
    upper.set_ylabel("share of right answers")
    upper.set_ylim(-0.02, 1.02)
    lower.set_ylabel("images")
    lower.set_xlabel("confidence of the answer")
    lower.set_xlim(0, 1)
    calm(upper)
    calm(lower)
    return png(figure)


def draw_history(history: pd.DataFrame) -> bytes:
    """Losses and validation accuracy over the epochs, a line a fold; epoch 0 is the network before its first step."""
    figure = blank_figure(8, 3.2)
    left, right = figure.subplots(1, 2)
    folds = [column for column in (REPEAT, FOLD) if column in history.columns]
    parts = [rows for _, rows in history.groupby(folds)] if folds else [history]
    look = {"linewidth": 1.8, "marker": "o", "markersize": 3.5} if len(parts) == 1 else {"linewidth": 0.9, "alpha": 0.7}
    series = (
        (left, "train_loss", "training", SOFT),
        (left, "val_loss", "validation", ACCENT),
        (right, "val_balanced_accuracy", "validation", ACCENT),
    )
    for axes, column, name, colour in series:
        for place, rows in enumerate(parts if column in history.columns else ()):
            values = pd.to_numeric(rows[column], errors="coerce").to_numpy(dtype=np.float64)
            axes.plot(rows["epoch"].to_numpy(), values, color=colour, label="" if place else name, **look)
    for axes, title in ((left, "loss"), (right, "balanced accuracy")):
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        calm(axes)
    left.legend(frameon=False, fontsize=9)
    return png(figure)


def draw_learning_curve(curve: pd.DataFrame) -> bytes:
    """Balanced accuracy with its interval against training images."""
    figure, axes = blank_axes(5, 3.4)
    images = curve["images"].to_numpy(dtype=np.float64)
    value, low, high = (curve[f"balanced_accuracy{end}"].to_numpy(dtype=np.float64) for end in ("", "_low", "_high"))
    axes.fill_between(images, low, high, color=ACCENT, alpha=0.18, linewidth=0)
    axes.plot(images, value, color=ACCENT, linewidth=1.8, marker="o", markersize=5)
    axes.set_xscale("log")
    axes.set_xticks(images, [f"{number:.0f}" for number in images])
    axes.minorticks_off()
    axes.set_xlabel("training images")
    axes.set_ylabel("balanced accuracy")
    calm(axes)
    return png(figure)
