"""Curves as figures: a panel a class, and one for many."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from finetune.evaluation import evaluate_predictions
from finetune.evaluation.split import read_split
from finetune.reporting.curves import draw_precision_recall_curves, draw_roc_curves


def draw(classes: int, images: int = 120) -> list[tuple[int, int]]:
    """Sizes of the two figures, in pixels."""
    rng = np.random.default_rng(classes)
    names = tuple(f"c{k}" for k in range(classes))
    truth = np.arange(images) % classes
    scores = rng.dirichlet(np.ones(classes), images)
    columns = {"path": [str(number) for number in range(images)], "label": [names[k] for k in truth]}
    columns |= {"predicted": [names[k] for k in scores.argmax(axis=1)]}
    table = pd.DataFrame(columns | {f"score_{name}": scores[:, k] for k, name in enumerate(names)})
    evaluation, part = evaluate_predictions(table, names), read_split(table, names, "test", 0.95)
    drawn = draw_roc_curves(evaluation, part), draw_precision_recall_curves(evaluation, part)
    assert drawn == (draw_roc_curves(evaluation, part), draw_precision_recall_curves(evaluation, part))
    return [Image.open(io.BytesIO(content)).size for content in drawn]


def test_two_classes_share_one_roc_curve_and_have_two_of_precision() -> None:
    (roc_width, roc_height), (width, height) = draw(2)
    assert roc_width == roc_height
    assert width > 1.5 * height


@pytest.mark.parametrize(("classes", "columns", "rows"), [(3, 2, 2), (5, 3, 2), (20, 5, 4)])
def test_each_class_has_a_panel(classes: int, columns: int, rows: int) -> None:
    for width, height in draw(classes):
        assert (width / 120 - 0.5) / 2.7 == pytest.approx(columns, abs=0.02)
        assert (height / 120 - 0.5) / 2.7 == pytest.approx(rows, abs=0.02)


def test_many_classes_are_shown_by_their_mean() -> None:
    assert draw(21, 210) == [(600, 600), (600, 600)]


def test_a_set_of_one_class_has_empty_curves() -> None:
    table = pd.DataFrame({"path": ["x", "y"], "label": "a", "predicted": ["a", "b"], "score_a": [0.9, 0.2]})
    table["score_b"] = 1 - table["score_a"]
    evaluation, part = evaluate_predictions(table, ("a", "b")), read_split(table, ("a", "b"), "test", 0.95)
    assert draw_roc_curves(evaluation, part)
    assert draw_precision_recall_curves(evaluation, part)
