"""The learning rate of a run of the recipe `residual-guide`, beside torch's CosineAnnealingLR."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from matplotlib.ticker import MaxNLocator

import finetune
from benchmarks.residual_guide.experiment import Experiment, Request
from benchmarks.residual_guide.page import compose_table
from benchmarks.results import Record
from finetune.jobs.demo import write_digits
from finetune.reporting.canvas import PALETTE, blank_axes, calm, png
from recipes import load_recipe

RECIPE, EPOCHS = "residual-guide", 20
PEAK, FLOOR = 0.1, 0.001


def measure_rates(epochs: int) -> list[Record]:
    """A row an epoch of a real run on digits: the rate in its history.csv, and torch's."""
    settings: dict[str, object] = {
        "model.name": "resnet18",
        "model.image_size": 32,
        "augment.views": 1,
        "train.epochs": epochs,
        "train.patience": None,
    }
    with tempfile.TemporaryDirectory() as name:
        write_digits(Path(name) / "digits")
        run = finetune.run(Path(name) / "digits", load_recipe(RECIPE, settings), Path(name) / "run")
        history = pd.read_csv(run.folder / "history.csv")
    steps = history[history["epoch"] > 0]
    pairs = zip(steps["epoch"], steps["learning_rate"], cosine_rates(epochs), strict=True)
    return [{"epoch": int(epoch), "learning_rate": float(rate), "torch": expected} for epoch, rate, expected in pairs]


def cosine_rates(epochs: int) -> list[float]:
    """The rates that torch's scheduler gives, epoch by epoch."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs, eta_min=FLOOR)
    rates = []
    for _ in range(epochs):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


def compose(rows: Sequence[Record]) -> str:
    """Five epochs from the first to the last."""
    told = [rows[round(place * (len(rows) - 1) / 4)] for place in range(5)]
    return compose_table(
        ["", *(f"epoch {row['epoch']}" for row in told)],
        [
            [name, *(f"{row[key]:.6f}" for row in told)]
            for name, key in (("`history.csv`", "learning_rate"), ("`CosineAnnealingLR`", "torch"))
        ],
    )


def draw(rows: Sequence[Record], out: Path) -> None:
    """The rates of the run as marks on torch's line."""
    figure, axes = blank_axes(5.2, 3.0)
    epochs = [row["epoch"] for row in rows]
    axes.plot(epochs, [row["torch"] for row in rows], color=PALETTE[1], label="torch's CosineAnnealingLR")
    axes.plot(epochs, [row["learning_rate"] for row in rows], "o", color=PALETTE[0], markersize=4, label="history.csv")
    axes.set_ylim(0, None)
    axes.set_xlabel("epoch", fontsize=9)
    axes.set_ylabel("learning rate", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    calm(axes)
    axes.legend(frameon=False, fontsize=8)
    out.write_bytes(png(figure))


def _measure(request: Request) -> list[Record]:
    rows = measure_rates(2 if request.is_brief else EPOCHS)
    draw(rows, request.figures / "learning-rate.png")
    return rows


RATES = Experiment(_measure, compose)
