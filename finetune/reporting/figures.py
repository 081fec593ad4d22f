"""The figures of a report, as PNG bytes that are the same every time."""

import io
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from finetune.evaluation import Evaluation
from finetune.evaluation.calibrating import Calibration
from finetune.evaluation.split import Split

Floats = NDArray[np.float64]
FIGURE_NAMES = ("confusion_matrix", "roc", "precision_recall", "reliability", "history")
MANY_CLASSES = 20
_INK, _SOFT, _ACCENT = "#24303c", "#8a97a5", "#2f6f8f"
_PALETTE = (
    "#2f6f8f",
    "#c4743a",
    "#5b8c5a",
    "#8a5a83",
    "#b59b3c",
    "#4b5f9e",
    "#a8505a",
    "#4f9a94",
    "#7a6a58",
    "#6d7b88",
)


def draw_figures(
    evaluation: Evaluation, part: Split, history: pd.DataFrame | None, calibration: Calibration
) -> dict[str, bytes]:
    """Every figure that the data allow, by name."""
    drawn = {"confusion_matrix": draw_confusion(evaluation)}
    if part.scores is not None:
        drawn["roc"] = _draw_curves(part, _roc_points, "share of other images called so", "share found (recall)")
        drawn["precision_recall"] = _draw_curves(part, _precision_points, "share found (recall)", "precision")
        if calibration.bins_before:
            drawn["reliability"] = draw_reliability(calibration)
    if history is not None and not history.empty:
        drawn["history"] = draw_history(history)
    return drawn


def draw_confusion(evaluation: Evaluation) -> bytes:
    """Images by true and predicted class, shaded by share of the row."""
    matrix = evaluation.confusion_matrix
    classes = len(matrix)
    side = min(3.2 + 0.45 * classes, 9.0)
    figure, axes = _blank(side, side)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if classes > MANY_CLASSES:
        axes.set_xticks([])
        axes.set_yticks([])
        return _png(figure)
    names = [_plain(label) for label in evaluation.labels]
    axes.set_xticks(range(classes), names, rotation=40, ha="right")
    axes.set_yticks(range(classes), names)
    for (row, column), number in np.ndenumerate(matrix):
        colour = "white" if shares[row, column] > 0.55 else _INK
        axes.text(column, row, str(number), ha="center", va="center", color=colour, fontsize=9)
    return _png(figure)


def draw_reliability(calibration: Calibration) -> bytes:
    """Share of right answers against confidence, before and after calibration, with the images of each bin below."""
    figure = _figure(5, 5)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    upper.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, linestyle=(0, (4, 4)))
    series = [(calibration.bins_before, "plain scores", _ACCENT)]
    if calibration.bins_after:
        series.append((calibration.bins_after, "calibrated", _PALETTE[1]))
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
    _calm(upper)
    _calm(lower)
    return _png(figure)


def draw_history(history: pd.DataFrame) -> bytes:
    """Losses and validation accuracy over the epochs; epoch 0 is the network before its first step."""
    figure = _figure(8, 3.2)
    left, right = figure.subplots(1, 2)
    steps = history["epoch"].to_numpy()
    series = (
        (left, "train_loss", "training", _SOFT),
        (left, "val_loss", "validation", _ACCENT),
        (right, "val_balanced_accuracy", "validation", _ACCENT),
    )
    for axes, column, name, colour in series:
        if column in history.columns:
            values = pd.to_numeric(history[column], errors="coerce").to_numpy(dtype=np.float64)
            axes.plot(steps, values, color=colour, label=name, linewidth=1.8, marker="o", markersize=3.5)
    for axes, title in ((left, "loss"), (right, "balanced accuracy")):
        axes.set_title(title, loc="left", fontsize=10, color=_INK)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        _calm(axes)
    left.legend(frameon=False, fontsize=9)
    return _png(figure)


def _draw_curves(
    part: Split,
    points: Callable[[NDArray[np.bool_], Floats], tuple[Floats, Floats]],
    x_label: str,
    y_label: str,
) -> bytes:
    """A curve a class where they are few, else their mean and the middle half of them."""
    figure, axes = _blank(5, 5)
    scores, truth = part.scores, part.outcomes.truth
    assert scores is not None
    drawable = [k for k in range(len(part.labels)) if 0 < int((truth == k).sum()) < len(truth)]
    curves = ((k, *points(truth == k, scores[:, k])) for k in drawable)
    if len(drawable) <= MANY_CLASSES:
        shown = drawable[1:] if len(part.labels) == 2 and points is _roc_points else drawable
        for k, x, y in curves:
            if k in shown:
                style = "-" if k < len(_PALETTE) else "--"
                colour = _PALETTE[k % len(_PALETTE)]
                axes.plot(x, y, style, color=colour, linewidth=1.8, label=_plain(part.labels[k]))
        if shown:
            axes.legend(frameon=False, fontsize=8, loc="lower left" if points is _precision_points else "lower right")
    else:
        grid = np.linspace(0, 1, 201)
        table = np.stack([np.interp(grid, x, y) for _, x, y in curves])
        quarter, three_quarters = np.quantile(table, [0.25, 0.75], axis=0)
        axes.fill_between(grid, quarter, three_quarters, color=_ACCENT, alpha=0.18, linewidth=0, label="middle half")
        axes.plot(grid, table.mean(axis=0), color=_ACCENT, linewidth=2, label=f"mean of {len(drawable)} classes")
        axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    _calm(axes)
    return _png(figure)


def _roc_points(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    false_rate, true_rate, _ = roc_curve(positive, scores)
    return false_rate, true_rate


def _precision_points(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    precision, found, _ = precision_recall_curve(positive, scores)
    return found[::-1], precision[::-1]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _blank(width: float, height: float) -> tuple[Figure, Axes]:
    figure = _figure(width, height)
    return figure, figure.subplots()


def _calm(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_SOFT)
    axes.grid(color="#e6eaee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=8)


def _plain(label: str) -> str:
    """A class name that no text renderer takes for markup, cut to a bearable length."""
    flat = " ".join(label.split()).encode("utf-8", errors="replace").decode("utf-8")
    short = flat if len(flat) <= 24 else flat[:23] + "…"
    return (" " + short if short.startswith("_") else short).replace("$", r"\$")


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
