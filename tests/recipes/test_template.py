"""The shipped template names every key with its default and what it means, and is the default recipe."""

import json
import textwrap

from recipes import Recipe, load_recipe, recipe_text
from recipes.schema import Settings

OPENING = """\
# Every key of a recipe with its default and what it means; keep what you change, delete the rest.
#
# Choose it to write a recipe of your own:   finetune recipes copy template mine.yaml
# Check what you wrote:                      finetune recipes check mine.yaml
#
# Run it:   finetune run DATA --recipe template
"""


def expected_text() -> str:
    lines = [OPENING]
    for name, field in Recipe.model_fields.items():
        value = getattr(Recipe(), name)
        if not isinstance(value, Settings):
            lines += [comment(field.description), f"{name}: {json.dumps(value)}"]
            continue
        lines += ["", *textwrap.wrap(f"{type(value).__doc__}", 110, initial_indent="# "), f"{name}:"]
        for key, inner in type(value).model_fields.items():
            lines += [comment(inner.description, "  "), f"  {key}: {json.dumps(getattr(value, key))}"]
    return "\n".join(lines) + "\n"


def comment(text: str | None, indent: str = "") -> str:
    start = f"{indent}# "
    return "\n".join(textwrap.wrap(text or "", 118, initial_indent=start, subsequent_indent=start))


def test_the_template_is_what_the_schema_says() -> None:
    assert recipe_text("template") == expected_text()


def test_the_template_is_the_default_recipe() -> None:
    assert load_recipe("template") == load_recipe("first-three")
