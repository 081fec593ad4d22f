"""Intervals hold the true value as often as they say: a sample of `python -m benchmarks.coverage`."""

import numpy as np
import pytest
from sklearn import metrics

from benchmarks.coverage.classes import AVERAGES, LOSSES, designs, judge_design
from benchmarks.coverage.models import CORRELATION, Design, draw_scores, patient_part, signal, true_values
from benchmarks.coverage.shares import bootstrap, draw_sets, exact_coverage, judge, ours, wilson


@pytest.mark.parametrize("images", [10, 20, 50, 84, 200])
def test_independent_images_are_covered_exactly(images: int) -> None:
    assert all(exact_coverage(images, share)[0] >= 0.95 for share in np.arange(0.01, 0.9901, 0.07))


def test_wilson_is_not_exact() -> None:
    assert exact_coverage(50, 0.99)[1] == pytest.approx(0.911, abs=0.001)


@pytest.mark.parametrize(
    ("patients", "images", "share", "correlation", "widest"),
    [(4, 20, 0.9, 0.5, 9), (10, 50, 0.5, 0.2, 1.35), (10, 50, 0.9, 0.8, 1.35), (20, 100, 0.9, 0.0, 1.2)]
    + [(40, 200, 0.5, 0.5, 1.15), (100, 500, 0.9, 0.5, 1.1), (4, 0, 0.99, 0.8, 9), (100, 0, 0.99, 0.0, 9)],
)
def test_images_of_patients_are_covered_without_waste(
    patients: int, images: int, share: float, correlation: float, widest: float
) -> None:
    hits, sizes = draw_sets(np.random.default_rng(1), 1000, patients, images, share, correlation)
    cell = judge(ours(hits, sizes), hits, sizes, share, correlation)
    assert cell.coverage >= 0.935 - 0.015  # two standard errors of a thousand sets
    assert cell.relative_width <= widest + 0.02


def test_the_usual_ways_fail() -> None:
    rng = np.random.default_rng(2)
    hits, sizes = draw_sets(rng, 1000, 10, 50, 0.9, 0.5)
    total = sizes.sum(axis=1)
    assert judge(wilson(hits.sum(axis=1) / total, total), hits, sizes, 0.9, 0.5).coverage <= 0.86
    assert judge(bootstrap(hits, sizes, rng), hits, sizes, 0.9, 0.5).coverage <= 0.85


UNEVEN = (0.4, 0.3, 0.2, 0.1)


@pytest.mark.parametrize("design", [Design((0.8, 0.2), 0.93, 40_000), Design(UNEVEN, 0.75, 0, 8000)])
def test_a_large_set_has_the_true_values(design: Design) -> None:
    truth, _, log_scores = draw_scores(design, np.random.default_rng(0))
    scores, called, true = np.exp(log_scores), log_scores.argmax(axis=1), true_values(design)
    found = {
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, called),
        "macro_f1": metrics.f1_score(truth, called, average="macro"),
        "mcc": metrics.matthews_corrcoef(truth, called),
        "roc_auc": np.mean([metrics.roc_auc_score(truth == k, scores[:, k]) for k in range(design.classes)]),
        "log_loss": metrics.log_loss(truth, scores),
        "brier": metrics.brier_score_loss(truth, scores, labels=range(design.classes)),
    }
    assert found == pytest.approx({name: true[name] for name in found}, abs=0.012)


@pytest.mark.parametrize("classes", [2, 4])
def test_answers_of_a_patient_correlate_as_they_are_said_to(classes: int) -> None:
    shares = tuple([1.0] + [0.0] * (classes - 1))
    _, group, log_scores = draw_scores(Design(shares, 0.93, 0, 20_000), np.random.default_rng(1))
    right = (log_scores.argmax(axis=1) == 0).reshape(20_000, -1)
    assert group.tolist() == np.repeat(np.arange(20_000), right.shape[1]).tolist()
    assert right.mean() == pytest.approx(0.93, abs=0.01)
    assert np.corrcoef(right[:, 0], right[:, 1])[0, 1] == pytest.approx(CORRELATION, abs=0.03)
    assert 0 < CORRELATION < patient_part(classes, 0.93) < 1 < signal(classes, 0.93)


@pytest.mark.parametrize(
    ("design", "least"),
    [
        (Design((0.8, 0.2), 0.93, 30), (0.935, 0.935, 0.90, 0.90)),
        (Design(UNEVEN, 0.75, 84, drawn=True), (0.935,) * 4),
        (Design(UNEVEN, 0.93, 0, 10), (0.93, 0.89, 0.89, 0.89)),
        (Design((0.5, 0.5), 0.75, 0, 40, drawn=True), (0.93, 0.89, 0.89, 0.89)),
    ],
)
def test_averages_areas_and_correlations_are_covered(design: Design, least: tuple[float, ...]) -> None:
    cells = {name: cell for name, _, cell in judge_design(design, AVERAGES, 400, [0])}
    error = 2 * np.sqrt(0.05 * 0.95 / 400)
    assert all(cells[name].coverage >= bound - error for name, bound in zip(AVERAGES, least, strict=True)), cells


def test_losses_are_tabulated() -> None:
    cells = list(judge_design(Design((0.5, 0.5), 0.75, 84), LOSSES, 100, [0]))
    assert [name for name, *_ in cells] == list(LOSSES)
    assert all(cell.coverage >= 0.9 and 0 < cell.width < 1 for *_, cell in cells)


def test_every_cell_of_the_issue_is_there() -> None:
    assert len(dict(designs((False, True)))) == 2 * (3 + 4) * 4 * 3


@pytest.mark.slow
def test_all_cells_of_averages_are_covered() -> None:
    """As many sets as in the table, and its bounds as they stand."""
    for number, (name, design) in enumerate(designs((False, True))):
        few = 0.90 if design.images == 30 else 0.935
        least = (0.93, 0.89, 0.89, 0.89) if design.patients else (0.935, 0.935, few, few)
        cells = {metric: cell for metric, _, cell in judge_design(design, AVERAGES, 2000, [0, number])}
        assert all(cells[metric].coverage >= bound for metric, bound in zip(AVERAGES, least, strict=True)), name
