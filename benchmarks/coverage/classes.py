"""Coverage of the intervals that are no share's: averages over classes, areas, MCC, and mean losses."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage.cells import Cell, judge_bounds
from benchmarks.coverage.models import Design, as_split, draw_scores, true_values
from finetune.evaluation import Metric
from finetune.evaluation.evaluating import evaluate_split
from finetune.evaluation.losses import evaluate_probabilities

Floats = NDArray[np.float64]
SHARES = {
    "2, even": (0.5, 0.5),
    "2, uneven": (0.8, 0.2),
    "4, even": (0.25, 0.25, 0.25, 0.25),
    "4, uneven": (0.4, 0.3, 0.2, 0.1),
}
ACCURACIES = (0.75, 0.93, 0.99)
IMAGES = (30, 84, 200)
PATIENTS = (10, 20, 40, 100)
AVERAGES = ("balanced_accuracy", "roc_auc", "macro_f1", "mcc")
LOSSES = ("log_loss", "brier")
HEADER = (
    "| images or patients | sizes | classes | accuracy | metric | true value | coverage | too high | too low | width |"
)


def designs(drawn: tuple[bool, ...]) -> Iterator[tuple[str, Design]]:
    """Every cell with its name: independent images, then patients of five images."""
    units = [(f"{n} images", n, 0) for n in IMAGES] + [(f"{n} patients", 0, n) for n in PATIENTS]
    for unit, images, patients in units:
        for is_drawn in drawn:
            sizes = "drawn" if is_drawn else "fixed"
            for classes, shares in SHARES.items():
                for accuracy in ACCURACIES:
                    name = f"| {unit} | {sizes} | {classes} | {accuracy} |"
                    yield name, Design(shares, accuracy, images, patients, is_drawn)


def average_cells(sets: int, seed: int) -> Iterator[tuple[str, str, float, Cell]]:
    """Name, metric, true value and result of each cell of the averages, areas and MCC."""
    for number, (name, design) in enumerate(designs((False, True))):
        for metric, truth, cell in judge_design(design, AVERAGES, sets, [seed, number]):
            yield name, metric, truth, cell


def loss_cells(sets: int, seed: int) -> Iterator[tuple[str, str, float, Cell]]:
    """The same of log loss and Brier score; a class or patient has its share of the images."""
    for number, (name, design) in enumerate(designs((False,))):
        for metric, truth, cell in judge_design(design, LOSSES, sets, [seed, number]):
            yield name, metric, truth, cell


def judge_design(
    design: Design, metrics: tuple[str, ...], sets: int, seed: list[int]
) -> Iterator[tuple[str, float, Cell]]:
    """What the intervals of these metrics did over the sets of one design; a metric that is null claims nothing."""
    rng, truths = np.random.default_rng(seed), true_values(design)
    measured = [_measure(design, metrics, rng) for _ in range(sets)]
    for metric in metrics:
        known = [one[metric] for one in measured if one[metric].low is not None]
        low, high = np.array([(one.low, one.high) for one in known], dtype=np.float64).T
        yield metric, truths[metric], judge_bounds(low, high, truths[metric])


def _measure(design: Design, metrics: tuple[str, ...], rng: np.random.Generator) -> Mapping[str, Metric]:
    truth, group, log_scores = draw_scores(design, rng)
    if metrics == LOSSES:
        return evaluate_probabilities(as_split(truth, group, np.exp(log_scores)))
    # logarithms rank as scores do, and being no probabilities they cost no bootstrap
    return evaluate_split(as_split(truth, group, log_scores)).overall


def least_coverage(cells: list[tuple[str, str, float, Cell]]) -> list[str]:
    """Of each metric, images or patients, the cell that covers least, as rows of a table."""
    least: dict[tuple[str, str], tuple[str, str, float, Cell]] = {}
    for row in cells:
        key = (row[1], row[0].split("|")[1].strip())
        if key not in least or row[3].coverage < least[key][3].coverage:
            least[key] = row
    return [as_row(*row) for row in sorted(least.values(), key=lambda row: row[1])]


def as_row(name: str, metric: str, truth: float, cell: Cell) -> str:
    """One row below `HEADER`."""
    return f"{name} {metric.replace('_', ' ')} | {truth:.4f} | {cell.told()} |"
