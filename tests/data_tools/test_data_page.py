"""docs/data.md tells every check, preset, format and rule that the code has."""

import re
from pathlib import Path

import pytest

from data_tools.advice import ADVICE
from data_tools.columns import CHECKS
from data_tools.near_duplicates import SIMILAR
from data_tools.presets import PRESETS
from data_tools.shortcuts import CLEAR
from recipes.schema import AugmentSettings

PAGE = Path(__file__).parents[2] / "docs" / "data.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_every_check_is_explained_with_what_to_do(page: str) -> None:
    assert set(ADVICE) == set(CHECKS)
    for check, (meaning, advice) in ADVICE.items():
        assert f"| `{check}` | {meaning} | {advice} |" in page


def test_every_step_of_every_preset_stands_with_its_reason(page: str) -> None:
    for name, preset in PRESETS.items():
        assert (
            f"| `{name}` | crop of {preset.scale[0]:g} to {preset.scale[1]:g} of the area | {preset.crop_reason} |"
            in page
        )
        for step in preset.steps:
            assert re.search(rf"\| \| {step.name}: .* \| {re.escape(step.reason)} \|", page), step
        assert (PAGE.parent / "data" / f"preset-{name}.jpg").is_file()


def test_recipes_name_the_presets_that_there_are() -> None:
    choices = AugmentSettings.model_fields["preset"].annotation
    assert set(choices.__args__) == {"none", *PRESETS}  # type: ignore[union-attr]


def test_its_numbers_are_those_of_the_code(page: str) -> None:
    assert f"is {SIMILAR} or more" in page
    assert f"lies {CLEAR} standard deviations above chance" in page
