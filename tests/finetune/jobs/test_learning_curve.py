"""A learning curve: nested halves of each fold's training images, judged on the same held-out ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import finetune
from data_tools.holding_out import halve_training
from finetune import Folding
from finetune.reporting.fold_views import curve_sentence
from recipes import Recipe, change_recipe
from tests.data_tools.test_holding_out import made_of


def test_each_half_lies_within_the_whole_and_keeps_every_class() -> None:
    dataset = made_of([("a" if number % 3 else "b", number) for number in range(48)])
    whole = set(dataset.part("train")["path"])
    for _ in range(3):
        left = dataset.part("train")
        dataset = halve_training(dataset, list(range(len(left))), seed=1)
        half = dataset.part("train")
        assert set(half["path"]) < whole
        assert len(half) == pytest.approx(len(left) / 2, abs=1)
        assert set(half["label"]) == {"a", "b"}
        whole = set(half["path"])


@pytest.mark.usefixtures("store")
def test_a_cross_validation_answers_whether_more_images_would_help(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = change_recipe(small_recipe, {"freeze.policy": "head-only"})
    finetune.cross_validate(digits_folder, recipe, tmp_path / "cv", folding=Folding(folds=2, draws_curve=True))
    curve = pd.read_csv(tmp_path / "cv" / "learning_curve.csv")
    folds = pd.read_csv(tmp_path / "cv" / "folds.csv")
    assert curve["share"].tolist() == sorted(curve["share"])
    assert curve["share"].iloc[-1] == 1
    assert len(curve) >= 2
    assert curve["images"].iloc[-1] == folds["train"].mean()
    assert np.isnan(curve["gain"].iloc[-1])
    assert (tmp_path / "cv" / "figures" / "learning_curve.png").is_file()
    page = (tmp_path / "cv" / "report.html").read_text()
    assert "Would more images help?" in page
    assert "Fold by fold" in page


@pytest.mark.parametrize(
    ("gain", "begin"),
    [
        ((0.05, 0.01, 0.09), "Yes, most likely: from 40 to 80 training images"),
        ((0.002, -0.004, 0.008), "Hardly: "),
        ((0.02, -0.02, 0.06), "These images cannot tell: "),
    ],
)
def test_the_answer_follows_from_the_second_half(gain: tuple[float, float, float], begin: str) -> None:
    rows = [(0.5, 40.0, 0.85, *gain), (1.0, 80.0, 0.9, None, None, None)]
    curve = pd.DataFrame(rows, columns=["share", "images", "balanced_accuracy", "gain", "gain_low", "gain_high"])
    assert curve_sentence(curve).startswith(begin)
