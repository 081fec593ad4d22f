"""Writes a comparison of candidates as a table and as one offline page with a plot."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from data_tools.private import make_private_folder
from finetune.evaluation.result import undefined
from finetune.files import write_bytes, write_csv, write_text
from finetune.reporting import views
from finetune.reporting.canvas import INK, PALETTE, blank_figure, calm, plain, png
from finetune.reporting.comparison import CHOSEN_BY, MEASURES, Judged, Verdict
from finetune.reporting.tables import with_bounds
from finetune.reporting.templating import open_templates
from finetune.reporting.thumbnails import data_uri


def write_comparison(folder: Path, verdict: Verdict) -> None:
    """Write `compare.csv`, `compare.html` and `figures/compare.png`."""
    plot = draw_comparison(verdict)
    make_private_folder(folder / "figures")
    write_bytes(folder / "figures" / "compare.png", plot)
    write_csv(folder / "compare.csv", tabulate_comparison(verdict))
    environment, style = open_templates()
    page = environment.get_template("compare.html.j2").render(
        **style,
        verdict=verdict,
        words=views.METRIC_WORDS,
        measures=MEASURES,
        plot=data_uri(plot, "image/png"),
        images=verdict.judged[0].evaluation.images,
        groups=verdict.judged[0].evaluation.groups,
    )
    write_text(folder / "compare.html", page)


def tabulate_comparison(verdict: Verdict) -> pd.DataFrame:
    """One row a candidate: what it costs, its measures with bounds, and how far it lies behind the best one."""
    return pd.DataFrame([_row(one, verdict) for one in verdict.judged])


def _row(one: Judged, verdict: Verdict) -> dict[str, Any]:
    row: dict[str, Any] = {
        "candidate": one.compared.name,
        "is_taken": one.compared.name == verdict.taken,
        "trainable_parameters": one.compared.trainable_parameters,
        "trunk_seconds": round(one.compared.trunk_seconds, 3),
        "tail_seconds": round(one.compared.tail_seconds, 3),
    }
    for name in MEASURES:
        row |= with_bounds(name, one.evaluation.overall[name])
    return (
        row
        | with_bounds("behind", one.gap or undefined(""))
        | {"mcnemar_p": one.behind.mcnemar.p_value if one.behind else None}
    )


def draw_comparison(verdict: Verdict) -> bytes:
    """Balanced accuracy with its interval against trained parameters, and against seconds of training."""
    figure = blank_figure(9, 4)
    left, right = figure.subplots(1, 2, sharey=True)
    axes: tuple[tuple[Axes, str], ...] = ((left, "trained parameters"), (right, "seconds of training, all folds"))
    for panel, label in axes:
        panel.set_xscale("log")
        panel.set_xlabel(label)
        calm(panel)
    for place, one in enumerate(verdict.judged):
        metric = one.evaluation.overall[CHOSEN_BY]
        if metric.value is None or metric.low is None or metric.high is None:
            continue
        reach = [[metric.value - metric.low], [metric.high - metric.value]]
        colour, is_taken = PALETTE[place % len(PALETTE)], one.compared.name == verdict.taken
        look: dict[str, Any] = {
            "color": colour,
            "capsize": 3,
            "markersize": 9 if is_taken else 6,
            "marker": "D" if is_taken else "o",
        }
        costs = one.compared.trainable_parameters, max(one.compared.tail_seconds, 0.01)
        for (panel, _), cost in zip(axes, costs, strict=True):
            name = plain(one.compared.name) + (" (to take)" if is_taken else "")
            panel.errorbar([cost], [metric.value], yerr=reach, linestyle="none", label=name, **look)
    left.set_ylabel("balanced accuracy, interval", color=INK)
    left.legend(frameon=False, fontsize=8)
    return png(figure)
