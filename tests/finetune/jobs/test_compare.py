"""Recipes side by side, end to end; the test part is left alone."""

from pathlib import Path

import pandas as pd
import pytest

import finetune
from finetune import Folding
from finetune.cli.main import main
from finetune.features import ImageViews
from recipes import Recipe, change_recipe


@pytest.mark.usefixtures("store")
def test_every_candidate_judges_the_same_images_and_none_of_the_test_part(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    built = ImageViews.__init__

    def noted(self: ImageViews, root: Path, paths: list[str], *args: object, **kwargs: object) -> None:
        seen.update(paths)
        built(self, root, paths, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageViews, "__init__", noted)
    recipes = {
        policy: change_recipe(small_recipe, {"freeze.policy": policy}) for policy in ("head-only", "first-three")
    }
    result = finetune.compare(digits_folder, recipes, tmp_path / "out", folding=Folding(folds=2))
    table = pd.read_csv(tmp_path / "out" / "predictions.csv", dtype=str)
    judged = {name: set(rows["path"]) for name, rows in table.groupby("candidate")}
    assert judged["head-only"] == judged["first-three"]
    assert len(judged["head-only"]) == 36
    assert seen == judged["head-only"]
    compared = pd.read_csv(tmp_path / "out" / "compare.csv").set_index("candidate")
    assert compared["is_taken"].sum() == 1
    assert compared.loc["head-only", "trainable_parameters"] < compared.loc["first-three", "trainable_parameters"]
    assert (compared["tail_seconds"] > 0).all()
    assert compared["behind"].isna().sum() == 1
    assert result.verdict.sentence.startswith(f"Take {result.verdict.taken}")
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "default-src 'none'" in page
    assert "behind the best" in page


def test_one_candidate_is_no_comparison(digits_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["compare", str(digits_folder), "--freeze", "head-only"])
    assert stop.value.code == 2
    assert "one candidate is no comparison" in capsys.readouterr().err


@pytest.mark.usefixtures("store")
def test_the_command_says_which_to_take(
    digits_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", "tf_efficientnet_lite0", "--weights", "embedded", "--image-size", "64", "--epochs", "1"]
    choices = ["--freeze", "head-only", "--freeze", "first-three", "--folds", "2"]
    with pytest.raises(SystemExit) as stop:
        main(["compare", str(digits_folder), *options, *choices, "--out", str(tmp_path / "out")])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert "first-three" in printed
    assert "Take " in printed
