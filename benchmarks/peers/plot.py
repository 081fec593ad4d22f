"""The plot of the comparison: balanced accuracy against wall seconds, one line a tool."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.peers.jobs import TOOLS
from benchmarks.peers.judging import mean_accuracy, median_wall, of
from benchmarks.peers.results import Result
from benchmarks.peers.sets import SETS

_COLUMNS = 3
_TICKS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_OWN_COLOURS = ("#8b1a1a", "#d9433f", "#efa3a1", "#f7d4d3")
_COLOURS = dict(zip(TOOLS, (*_OWN_COLOURS, "#000000", "#0072b2", "#009e73", "#e69f00", "#9467bd"), strict=True))


def draw_plot(results: Sequence[Result], out: Path) -> None:
    """Write a PNG: a panel for each set; a tool's line joins its cuts, its large mark is their median and mean."""
    sets = [name for name in SETS if of(results, set=name)]
    rows = -(-(len(sets) + 1) // _COLUMNS)
    figure = Figure(figsize=(4.2 * _COLUMNS, 3.4 * rows), layout="constrained")
    panels = [figure.add_subplot(rows, _COLUMNS, place + 1) for place in range(len(sets) + 1)]
    for name, axes in zip(sets, panels, strict=False):
        _draw_set(axes, name, of(results, set=name))
    legend = panels[-1]
    legend.axis("off")
    for tool in TOOLS:
        if of(results, tool=tool):
            legend.plot([], [], color=_COLOURS[tool], marker="o", label=tool)
    legend.legend(loc="center left", frameon=False, title="small: one cut; large: median and mean")
    seconds = [one.wall_seconds for one in results]
    for axes in panels[:-1]:
        _scale_seconds(axes, seconds)
    figure.savefig(out, dpi=110, metadata={"Software": None})


def _draw_set(axes: Axes, name: str, results: Sequence[Result]) -> None:
    for tool in TOOLS:
        runs = sorted(of(results, tool=tool), key=lambda one: one.wall_seconds)
        if runs:
            seconds = [one.wall_seconds for one in runs]
            accuracies = [one.balanced_accuracy for one in runs]
            axes.plot(seconds, accuracies, color=_COLOURS[tool], marker="o", markersize=3, linewidth=1)
            axes.plot(median_wall(runs), mean_accuracy(runs), color=_COLOURS[tool], marker="o", markersize=8, alpha=0.6)
    axes.set_title(name if SETS[name].carries_claim else f"{name} (accuracy: no claim)", fontsize=10)
    axes.set_xlabel("wall seconds, whole process")
    axes.set_ylabel("balanced accuracy")
    axes.grid(alpha=0.3)


def _scale_seconds(axes: Axes, seconds: Sequence[float]) -> None:
    """The same logarithmic seconds in every panel, told in plain numbers."""
    axes.set_xscale("log")
    axes.set_xlim(min(seconds) / 1.3, max(seconds) * 1.3)
    low, high = axes.get_xlim()
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
