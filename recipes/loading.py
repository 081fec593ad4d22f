"""From a shipped name, a file and single settings to a checked recipe, and back to YAML."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from recipes.errors import RecipeError
from recipes.faults import describe, explain_faults, explain_unknown_key
from recipes.reading import decode_yaml, parse_yaml
from recipes.schema import Recipe, Settings
from recipes.shipped import DEFAULT_RECIPE, recipe_names, recipe_text, unknown_recipe

_UNRECORDED = {"data": {"workers"}, "train": {"device"}}
_SECTIONS = tuple(name for name, value in Recipe() if isinstance(value, Settings))
_MAPPINGS = {
    (section, key): field.annotation
    for section in _SECTIONS
    for key, field in type(getattr(Recipe(), section)).model_fields.items()
    if get_origin(field.annotation) is dict
}
"""Keys whose value is a mapping: a key path may lead into it, such as train.stage_factors.stage4."""
Fault = tuple[str, str]


def load_recipe(source: str | Path | None = None, overrides: Mapping[str, object] | None = None) -> Recipe:
    """The recipe of a shipped name, a YAML file or (None) the default, with `overrides` by key path on top.

    Raises RecipeError with every fault at once, each with its key path.
    """
    content, name = _read(source)
    return _checked(content, name, dict(overrides or {}))


def change_recipe(recipe: Recipe, overrides: Mapping[str, object]) -> Recipe:
    """`recipe` with `overrides` by key path, checked as a whole.

    Raises RecipeError with every fault at once, each with its key path.
    """
    return _checked(recipe.model_dump(mode="json"), "settings", dict(overrides))


def _checked(content: dict[Any, Any], name: str, settings: Mapping[str, object]) -> Recipe:
    faults = _apply(content, settings)
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        faults += explain_faults(error)
    if faults:
        raise RecipeError(_message(name, faults, settings))
    return recipe


def parse_setting(text: str) -> tuple[str, object]:
    """`train.epochs=5` as ("train.epochs", 5); the value is read as YAML 1.2, a leading star is text.

    Raises RecipeError for a text without key and `=`, or a value that is no YAML.
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key:
        raise RecipeError(f"{text!r} is not a setting; write KEY.PATH=VALUE, such as train.epochs=5.")
    return key, value if value.startswith("*") else parse_yaml(value, key)


def dump_recipe(recipe: Recipe) -> str:
    """YAML that `load_recipe` reads back as the same recipe; the same bytes for the same recipe.

    What only says where a run computes (`data.workers`, `train.device`) is left out.
    """
    content = recipe.model_dump(exclude=_UNRECORDED)
    lines: list[str] = []
    for name, value in content.items():
        if isinstance(value, dict):
            lines += ["", f"{name}:", *(f"  {key}: {_scalar(held)}" for key, held in value.items())]
        else:
            lines.append(f"{name}: {_scalar(value)}")
    return "\n".join(lines) + "\n"


def _scalar(value: object) -> str:
    """A value as JSON, which YAML 1.2 contains."""
    return json.dumps(value, ensure_ascii=False)


def _read(source: str | Path | None) -> tuple[dict[Any, Any], str]:
    """The keys of a recipe, and what errors shall call it."""
    if source is None or (isinstance(source, str) and source in recipe_names()):
        name = source or DEFAULT_RECIPE
        content = parse_yaml(recipe_text(str(name)), str(name))
    else:
        name = str(source)
        content = parse_yaml(decode_yaml(_file_content(source), name), name)
    if content is None:
        raise RecipeError(f"{name}: is empty; start from a shipped one: finetune recipes copy {DEFAULT_RECIPE} FILE")
    if not isinstance(content, dict):
        raise RecipeError(f"{name}: must be sections of keys, got {describe(content)}.")
    return {key: _section(key, value) for key, value in content.items()}, str(name)


def _section(key: object, value: Any) -> Any:
    """A section whose keys are all commented out is a section of defaults."""
    return {} if value is None and key in _SECTIONS else value


def _file_content(source: str | Path) -> bytes:
    path = Path(source)
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        if isinstance(source, str) and path.name == source and path.suffix not in (".yaml", ".yml"):
            raise unknown_recipe(source) from error
        raise RecipeError(f"{source}: no such file; shipped recipes: {', '.join(recipe_names())}.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RecipeError(f"{source}: cannot be read: {reason}.") from error


def _apply(content: dict[Any, Any], settings: Mapping[str, object]) -> list[Fault]:
    """Set each key path in `content`, which is a fresh table; the faults of paths that lead nowhere."""
    faults = []
    for path, value in settings.items():
        section, dot, key = path.partition(".")
        if not dot and section in _SECTIONS:
            faults.append((path, f"is a section; set one of its keys: {path}.KEY=VALUE"))
        elif not dot:
            content[section] = value
        elif section not in _SECTIONS or (len(keys := _keys_within(section, key)) == 1 and "." in key):
            faults.append((path, explain_unknown_key(path.split(".")[:2] if section in _SECTIONS else [section])))
        elif isinstance(content.setdefault(section, {}), dict):
            content[section] = _with_value(content[section], keys, value)
    return faults


def _keys_within(section: str, path: str) -> list[str]:
    """`path` below a section as keys: past a key that holds a mapping the rest names one of it, dots and all."""
    key, dot, name = path.partition(".")
    if not dot or (section, key) not in _MAPPINGS:
        return [path]
    holds_mappings = get_origin(get_args(_MAPPINGS[section, key])[1]) is dict
    return [key, *(name.split(".", 1) if holds_mappings else [name])]


def _with_value(table: Mapping[Any, Any], keys: list[str], value: object) -> dict[Any, Any]:
    """A copy of `table` in which `value` stands at the end of `keys`."""
    first, *rest = keys
    held = table.get(first)
    inner = held if isinstance(held, dict) else {}
    return {**table, first: _with_value(inner, rest, value) if rest else value}


def _message(name: str, faults: list[Fault], settings: Mapping[str, object]) -> str:
    """One line for one fault, a headed list for more; faults of the settings are not blamed on the file."""
    given = [any(_is_within(path, key) for key in settings) for path, _ in faults]
    title = "settings" if all(given) else name
    lines = [
        f"{path}{' (a setting)' if is_given and title == name else ''}: {text}"
        for (path, text), is_given in zip(faults, given, strict=True)
    ]
    if len(lines) == 1:
        return f"{title}: {lines[0]}"
    return "\n  ".join([f"{title} {'have' if title == 'settings' else 'has'} {len(lines)} faults", *lines])


def _is_within(path: str, setting: str) -> bool:
    """Whether a fault at `path` is one of `setting`: the same key, something in it, or the section of it."""
    return path == setting or path.startswith((f"{setting}[", f"{setting}.")) or setting.startswith(f"{path}.")
