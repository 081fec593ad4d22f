"""What all figures of a report share: size, colours, calm axes, and the way to bytes."""

import io
import warnings
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MANY_CLASSES = 20
INK, SOFT, ACCENT = "#24303c", "#8a97a5", "#2f6f8f"
PALETTE = (
    *("#2f6f8f", "#c4743a", "#5b8c5a", "#8a5a83", "#b59b3c"),
    *("#4b5f9e", "#a8505a", "#4f9a94", "#7a6a58", "#6d7b88"),
)


def blank_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty white figure, its size in inches."""
    figure = Figure(figsize=(width, height), dpi=120, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def blank_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """The same with one pair of axes."""
    figure = blank_figure(width, height)
    return figure, figure.subplots()


def calm(axes: Axes) -> None:
    """Take from axes what is no data: two sides of the frame, dark lines."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    axes.grid(color="#e6eaee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=8)


def plain(label: str) -> str:
    """A class name that no text renderer takes for markup, cut to a bearable length."""
    flat = " ".join(label.split()).encode("utf-8", errors="replace").decode("utf-8")
    short = flat if len(flat) <= 24 else flat[:23] + "…"
    return (" " + short if short.startswith("_") else short).replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """The figure as PNG bytes, which depend on nothing but it."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
