"""Puts what pydantic found into the words of a recipe: key path, what was seen, what to do."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from recipes.nearest import nearest
from recipes.schema import Recipe

_LIKE_A_KEY = 0.65
_A_KEY = "[key]"
_WANTED = {
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number of ordinary size",
    "finite_number": "must be a finite number",
    "list_type": "must be a list",
    "dict_type": "must be a mapping, such as {{old: new}}",
    "model_type": "must be a section of keys",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
}


def explain_faults(error: ValidationError) -> list[tuple[str, str]]:
    """Key path and message of every fault, in the order of the recipe's sections."""
    order = list(Recipe.model_fields)
    found = sorted(error.errors(include_url=False), key=lambda fault: _section(fault["loc"], order))
    return [(key_path(fault["loc"]), _explain(fault)) for fault in found]


def key_path(location: Sequence[int | str]) -> str:
    """`("data", "allow", 0)` as `data.allow[0]`; a fault in the key of a mapping is one of the mapping."""
    if location and location[-1] == _A_KEY:
        location = location[:-2]
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


def describe(value: object) -> str:
    """A value as short as a message needs it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, Mapping)):
        return f"a {'list' if isinstance(value, list) else 'mapping'} of {len(value)}"
    if isinstance(value, (int, float)):
        return "a number past 64 bits" if isinstance(value, int) and value.bit_length() > 64 else str(value)
    text = str(value)
    short = text if len(text) <= 40 else text[:40] + "…"
    return repr(short) if isinstance(value, str) else f"{short} ({type(value).__name__})"


def _section(location: Sequence[int | str], order: list[str]) -> int:
    return order.index(str(location[0])) if location and location[0] in order else len(order)


def _explain(fault: ErrorDetails) -> str:
    kind, seen, context = fault["type"], fault["input"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        return explain_unknown_key([str(part) for part in fault["loc"]])
    if kind == "invalid_key":
        return "a key must be text; put it in quotes"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_type":
        remedy = "" if isinstance(seen, (list, Mapping)) or seen is None else "; put it in quotes"
        what = "a key must be text" if fault["loc"][-1] == _A_KEY else "must be text"
        return f"{what}, got {describe(seen)}{remedy}"
    if kind == "literal_error":
        return _explain_choice(seen, str(context["expected"]))
    wanted = _WANTED[kind].format(**_readable(context)) if kind in _WANTED else fault["msg"]
    return f"{wanted}, got {describe(seen)}"


def _explain_choice(seen: Any, expected: str) -> str:
    choices = [choice.strip("' ") for choice in expected.replace(" or ", ", ").split(",")]
    meant = nearest(seen, choices) if isinstance(seen, str) else None
    hint = f"; did you mean {meant!r}?" if meant else ""
    return f"must be {' or '.join(choices)}, got {describe(seen)}{hint}"


def _readable(context: Mapping[str, Any]) -> dict[str, str]:
    return {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in context.items()}


def explain_unknown_key(path: Sequence[str]) -> str:
    """What an unknown key was probably meant to be: one of its section, or one of another section."""
    sections = _sections()
    here = sections.get(path[0], []) if len(path) > 1 else list(Recipe.model_fields)
    meant = nearest(path[-1], here, _LIKE_A_KEY)
    if meant is None:
        owners = {key: f"{section}.{key}" for section, keys in sections.items() for key in keys}
        elsewhere = nearest(path[-1], owners, _LIKE_A_KEY)
        meant = owners[elsewhere] if elsewhere else None
    return f"unknown key; did you mean {meant!r}?" if meant else f"unknown key; known here: {', '.join(here)}"


def _sections() -> dict[str, list[str]]:
    """The keys of each section."""
    return {
        name: list(field.annotation.model_fields)
        for name, field in Recipe.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
