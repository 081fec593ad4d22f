"""`recipes.schema`: every key is explained, and has a default in its own range."""

import importlib

import pytest

import recipes
from recipes import Recipe
from recipes.schema import Settings

SECTIONS = ["data", "model", "freeze", "augment", "train", "head", "cache", "evaluate"]


def test_the_sections_are_those_of_the_design():
    assert list(Recipe.model_fields) == ["task", "seed", *SECTIONS]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_one_line_of_meaning(section):
    fields = type(getattr(Recipe(), section)).model_fields
    assert fields
    assert {name: field.description for name, field in fields.items() if not field.description} == {}
    assert all("\n" not in (field.description or "") for field in fields.values())


def test_the_defaults_are_good_values():
    assert Recipe.model_validate(Recipe().model_dump()) == Recipe()


def test_every_exported_name_exists():
    assert {name: getattr(recipes, name) for name in recipes.__all__}.keys() == set(recipes.__all__)
    assert set(recipes.__all__) >= {kind.__name__ for kind in Settings.__subclasses__()}
    with pytest.raises(AttributeError, match="nothing_like_it"):
        importlib.import_module("recipes").nothing_like_it  # noqa: B018
