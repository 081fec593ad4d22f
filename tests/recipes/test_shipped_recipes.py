"""`recipes.shipped`: every shipped recipe is good, says when to choose it, and is found without pydantic."""

import subprocess
import sys

import pytest

from recipes import DEFAULT_RECIPE, RecipeError, copy_recipe, list_recipes, load_recipe, recipe_text

NAMES = (
    "first-three",
    "full",
    "gradual",
    "head-only",
    "last-two-stages",
    "norm-only",
    "quick",
    "residual-guide",
    "small-images",
    "template",
)


def test_these_recipes_are_shipped():
    assert tuple(name for name, _ in list_recipes()) == NAMES
    assert DEFAULT_RECIPE in NAMES


NAMED_OTHERWISE = ("quick", "residual-guide", "small-images", "template")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NAMED_OTHERWISE])
def test_a_shipped_recipe_loads_and_freezes_what_its_name_says(name):
    assert load_recipe(name).freeze.policy == name


def test_quick_is_the_default_with_less_of_it():
    quick, default = load_recipe("quick"), load_recipe(DEFAULT_RECIPE)
    assert quick.train.epochs < default.train.epochs
    assert quick.augment.views < default.augment.views
    less = {"train": {"epochs": quick.train.epochs}, "augment": {"views": quick.augment.views}}
    merged = {name: default.model_dump()[name] | values for name, values in less.items()}
    assert quick.model_dump() == default.model_dump() | merged


def test_the_recipe_of_the_residual_guide_trains_from_scratch_as_it_says():
    recipe = load_recipe("residual-guide")
    assert (recipe.model.weights, recipe.freeze.policy, recipe.augment.preset) == ("none", "full", "residual-guide")
    train = recipe.train
    assert (train.optimizer, train.momentum, train.learning_rate, train.anneal) == ("sgd", 0.9, 0.1, "epoch")
    assert (train.warmup_epochs, train.label_smoothing, train.average_decay, train.patience) == (0, 0, None, None)
    assert (train.class_balance, train.head_factor) == ("none", 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_recipe_opens_with_when_to_choose_it_and_its_command(name):
    opening = recipe_text(name).partition("\n\n")[0]
    assert all(line.startswith("#") for line in opening.splitlines())
    assert "# Choose it " in opening
    assert f"finetune run DATA --recipe {name}\n" in f"{opening}\n"


def test_a_summary_is_one_line_that_tells_the_recipes_apart():
    summaries = [summary for _, summary in list_recipes()]
    assert len(set(summaries)) == len(NAMES)
    assert all(20 < len(summary) < 100 and not summary.startswith("#") for summary in summaries)


def test_a_copy_is_the_shipped_text(tmp_path):
    file = tmp_path / "mine.yaml"
    copy_recipe("full", file)
    assert file.read_text(encoding="utf-8") == recipe_text("full")
    assert load_recipe(file) == load_recipe("full")


def test_a_copy_overwrites_nothing(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("precious")
    with pytest.raises(RecipeError, match="exists already"):
        copy_recipe("full", file)
    assert file.read_text() == "precious"


def test_a_copy_into_nowhere_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="cannot be written"):
        copy_recipe("full", tmp_path / "none" / "mine.yaml")


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'head-only'"):
        recipe_text("head_only")
    with pytest.raises(RecipeError, match="shipped recipes: first-three"):
        copy_recipe("../pyproject", tmp_path / "mine.yaml")


def test_listing_imports_neither_pydantic_nor_yaml_nor_torch():
    code = (
        "import sys, recipes; recipes.list_recipes(); recipes.recipe_text('full')\n"
        "print([name for name in ('pydantic', 'ruamel.yaml', 'torch', 'numpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_small_images_is_a_network_with_a_small_stem_trained_from_nothing():
    recipe = load_recipe("small-images")
    assert (recipe.model.name, recipe.model.weights, recipe.model.image_size) == ("resnet18", "none", 32)
    assert (recipe.model.stem, recipe.freeze.policy) == ("small", "full")
