"""ROC and precision-recall curves of each class against the rest, with their bands."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from finetune.evaluation import Evaluation
from finetune.evaluation.bands import Band, precision_recall_band, roc_band
from finetune.evaluation.split import Split
from finetune.reporting.canvas import ACCENT, INK, MANY_CLASSES, SOFT, blank_axes, blank_figure, calm, plain, png

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_PAPER = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.5}


@dataclass(frozen=True)
class _Kind:
    """One of the two kinds of curves: its axes, points, band, and the metric that is the area below it."""

    across: str
    up: str
    points: Callable[[Bools, Floats], tuple[Floats, Floats]]
    band: Callable[[Bools, Floats, NDArray[np.int64], int, float], Band]
    metric: str
    shows_chance: bool


def draw_roc_curves(evaluation: Evaluation, part: Split) -> bytes:
    """The share of a class that is found against the share of other images called so; of two classes the second."""
    shown = _drawable(part)
    kind = _Kind("other images called so", "found (recall)", _roc_points, roc_band, "roc_auc", True)
    return _draw(evaluation, part, kind, shown[1:] if len(part.labels) == 2 else shown)


def draw_precision_recall_curves(evaluation: Evaluation, part: Split) -> bytes:
    """Precision against recall of each class."""
    kind = _Kind("found (recall)", "precision", _precision_points, precision_recall_band, "average_precision", False)
    return _draw(evaluation, part, kind, _drawable(part))


def _drawable(part: Split) -> list[int]:
    """Classes with images on both sides."""
    truth = part.outcomes.truth
    return [k for k in range(len(part.labels)) if 0 < int((truth == k).sum()) < len(truth)]


def _draw(evaluation: Evaluation, part: Split, kind: _Kind, shown: list[int]) -> bytes:
    """A panel a class; of more than `MANY_CLASSES` their mean and the middle half of them."""
    if len(shown) > MANY_CLASSES:
        return _draw_many(part, kind, shown)
    columns = max(1, math.ceil(math.sqrt(len(shown))))
    rows = max(1, math.ceil(len(shown) / columns))
    side = 4.6 if columns == 1 else 2.7
    width, height = side * columns + 0.5, side * rows + 0.5
    figure = blank_figure(width, height, layout=None)  # to have margins computed takes as long as the drawing
    figure.subplots_adjust(0.65 / width, 0.55 / height, 1 - 0.12 / width, 1 - 0.3 / height, 0.12, 0.2)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, k in zip(panels, shown, strict=False):
        _draw_class(axes, evaluation, part, kind, k)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    panels[0].set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=_TICKS, yticks=_TICKS)
    figure.supxlabel(kind.across, fontsize=9, color=INK, y=0.08 / height)
    figure.supylabel(kind.up, fontsize=9, color=INK, x=0.08 / width)
    return png(figure)


def _draw_class(axes: Axes, evaluation: Evaluation, part: Split, kind: _Kind, k: int) -> None:
    assert part.scores is not None
    positive, scores = part.outcomes.truth == k, part.scores[:, k]
    band = kind.band(positive, scores, part.outcomes.group, part.outcomes.groups, part.confidence)
    axes.fill_between(band.at, band.low, band.high, color=ACCENT, alpha=0.18, linewidth=0)
    if kind.shows_chance:
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 4)))
    x, y = kind.points(positive, scores)
    axes.plot(x, y, color=ACCENT, linewidth=1.8)
    axes.set_title(plain(part.labels[k]), loc="left", fontsize=9, color=INK)
    area = evaluation.per_class[part.labels[k]][kind.metric]
    if area.value is not None and area.low is not None and area.high is not None:
        told = f"area {area.value:.2f} ({area.low:.2f} to {area.high:.2f})"
        axes.text(0.98, 0.02, told, ha="right", va="bottom", fontsize=7.5, color=INK, bbox=_PAPER)
    calm(axes)


def _draw_many(part: Split, kind: _Kind, shown: list[int]) -> bytes:
    assert part.scores is not None
    figure, axes = blank_axes(5, 5)
    grid = np.linspace(0, 1, 201)
    truth = part.outcomes.truth
    table = np.stack([np.interp(grid, *kind.points(truth == k, part.scores[:, k])) for k in shown])
    quarter, three_quarters = np.quantile(table, [0.25, 0.75], axis=0)
    axes.fill_between(grid, quarter, three_quarters, color=ACCENT, alpha=0.18, linewidth=0, label="middle half")
    axes.plot(grid, table.mean(axis=0), color=ACCENT, linewidth=2, label=f"mean of {len(shown)} classes")
    axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel(kind.across)
    axes.set_ylabel(kind.up)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    calm(axes)
    return png(figure)


def _roc_points(positive: Bools, scores: Floats) -> tuple[Floats, Floats]:
    false_rate, true_rate, _ = roc_curve(positive, scores)
    return false_rate, true_rate


def _precision_points(positive: Bools, scores: Floats) -> tuple[Floats, Floats]:
    precision, found, _ = precision_recall_curve(positive, scores)
    return found[::-1], precision[::-1]
