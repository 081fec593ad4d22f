"""Reads YAML 1.2 as plain data, guarding against what no recipe needs: tags, bombs, depth, doubled keys."""

from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from recipes.errors import RecipeError

_MAX_BYTES = 100_000
_MAX_DEPTH = 20
_MAX_VALUES = 10_000


def decode_yaml(content: bytes, name: str) -> str:
    """The text of a YAML file; `name` is what errors call it.

    Raises RecipeError for a file that is too large or not UTF-8 (a byte order mark is dropped).
    """
    if len(content) > _MAX_BYTES:
        raise RecipeError(f"{name}: holds {len(content):,} bytes; a recipe has {_MAX_BYTES:,} at most.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise RecipeError(f"{name}, line {line}: is not UTF-8 text (byte 0x{byte:02x}); save it as UTF-8.") from error


def parse_yaml(text: str, name: str) -> Any:
    """The one document in `text` as dicts, lists and scalars; None when there is none.

    Raises RecipeError naming the line: syntax, tags, a second document, a doubled key,
    nesting past 20 levels, aliases that unfold to more than 10,000 values.
    """
    try:
        _guard(text, name)
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise RecipeError(f"{name}{place}: {_problem(error)}") from error
    except (YAMLError, ValueError, OverflowError, TypeError) as error:
        raise RecipeError(f"{name}: cannot be read as YAML: {str(error).splitlines()[0]}.") from error


def _problem(error: MarkedYAMLError) -> str:
    problem = " ".join(str(error.problem or error.context).split())
    if "'\\t'" in problem:
        return f"{problem}; indent with spaces."
    if "duplicate key" in problem:
        return f"{problem}; keep one of them."
    return f"{problem}; text with special characters needs quotes."


@dataclass
class _Nesting:
    """The collections open at one place, each with the number of values it unfolds to so far."""

    open: list[tuple[str | None, int]] = field(default_factory=lambda: [(None, 0)])
    by_anchor: dict[str, int] = field(default_factory=dict)

    def add(self, values: int) -> None:
        anchor, held = self.open[-1]
        self.open[-1] = (anchor, held + values)

    def enter(self, anchor: str | None) -> None:
        self.open.append((anchor, 1))

    def leave(self) -> None:
        anchor, held = self.open.pop()
        if anchor:
            self.by_anchor[anchor] = held
        self.add(held)


def _guard(text: str, name: str) -> None:
    """Walk the events of `text`, building nothing, and refuse what must never be built."""
    nesting = _Nesting()
    documents = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        kind = type(event).__name__
        place = f"{name}, line {event.start_mark.line + 1}"
        if getattr(event, "tag", None):
            raise RecipeError(f"{place}: the tag {event.tag} is not read; write plain values.")
        if kind == "DocumentStartEvent":
            documents += 1
            if documents > 1:
                raise RecipeError(f"{place}: a second document begins; a recipe is one document, without '---'.")
        elif kind == "AliasEvent":
            if event.anchor not in nesting.by_anchor:
                raise RecipeError(
                    f"{place}: *{event.anchor} points to no finished anchor; text with a star needs quotes."
                )
            nesting.add(nesting.by_anchor[event.anchor])
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            nesting.enter(event.anchor)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            nesting.leave()
        elif kind == "ScalarEvent":
            nesting.enter(event.anchor)
            nesting.leave()
        if len(nesting.open) > _MAX_DEPTH:
            raise RecipeError(f"{place}: is nested more than {_MAX_DEPTH} levels deep; a recipe needs three.")
        if nesting.open[-1][1] > _MAX_VALUES:
            raise RecipeError(f"{place}: unfolds to more than {_MAX_VALUES:,} values; write them out, or fewer.")
