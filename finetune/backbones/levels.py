"""Where the four stages of a network's body end, and how that is known."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from finetune.backbones.known_levels import KNOWN_LEVELS, KNOWN_STEMS
from finetune.errors import FreezeError

StageOf = Callable[[str], str]
Rows = list[tuple[str, Any]]
"""Module and reduction of each row of timm's `feature_info`."""

_STEM, _STAGES = "stem", ("stage1", "stage2", "stage3", "stage4")
_NUMBERED = re.compile(r"(.*?(?:layer|stage|denseblock|block|s))[0-4]$")
_LISTS = ("stages", "layers", "blocks")


def find_levels(model: nn.Module, head: Sequence[str]) -> tuple[StageOf, str]:
    """Stem or stage of any module, parameter or buffer outside the `head`, by name; and the rule that told it.

    The first rule that fits:
    - by hand: architectures whose `feature_info` does not name the last module of each level;
    - reductions: a stage ends with the module that `feature_info` gives for reduction 4, 8, 16, 32;
    - levels: `feature_info` has three or four levels of other reductions; of three, the one with
      most blocks (the last of equals) is divided into two equal runs;
    - equal runs: all rows of `feature_info` have one reduction: four runs of equal depth;
    - named children: four siblings such as layer1 to layer4, where there is no `feature_info`;
    - runs of children: four equal runs over the outermost container that has four blocks or more,
      or, where there are fewer blocks, one a stage, the last one in stage4.
    The stem is what timm's `group_matcher` calls so; without it, what comes before the first level.

    Raises FreezeError where none fits.
    """
    architecture = type(model).__name__
    if architecture in KNOWN_LEVELS:
        return _by_hand(KNOWN_LEVELS[architecture]), "by hand"
    body = _Body(model, head)
    rows = _feature_rows(body)
    for rule, ends in (
        ("reductions", _ends_by_reduction(body, rows)),
        ("levels", _ends_by_level(body, rows)),
        ("equal runs", _ends_of_runs(body, _isotropic_blocks(rows))),
        ("named children", _ends_of_children(body)),
        ("runs of children", _ends_of_runs(body, _outermost_blocks(body))),
    ):
        if ends:
            return _by_position(body, ends), rule
    raise FreezeError(f"{architecture} has no layers with weights beside its classifier, so nothing to name stages in.")


class _Body:
    """The modules of a network in order, by dotted name and position; the classifier is no part of it."""

    def __init__(self, model: nn.Module, head: Sequence[str]) -> None:
        self.model = model
        self.modules = dict(list(model.named_modules())[1:])
        names = [name for name in self.modules if not any(_is_inside(name, part) for part in head)]
        self.position = {name: index for index, name in enumerate(names)}

    def end(self, name: str) -> int:
        """Position of the last module in `name`."""
        return max(index for other, index in self.position.items() if _is_inside(other, name))

    def before(self, name: str) -> int:
        """Position of the last module before `name`; -1 where it is the first."""
        return self.position[name] - 1

    def blocks(self, name: str) -> list[str]:
        """The children of `name` that hold matrices or filters; a norm or an activation alone is no block."""
        parent = self.modules[name] if name else self.model
        children = [f"{name}.{child}".lstrip(".") for child, _ in parent.named_children()]
        return [child for child in children if child in self.position and _has_matrices(self.modules[child])]


def _is_inside(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _has_matrices(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters())


def _by_hand(patterns: Sequence[str]) -> StageOf:
    """`patterns`: regular expressions for stem, stage1, stage2 and stage3; the rest is stage4."""

    def stage_of(name: str) -> str:
        named = zip((_STEM, *_STAGES), patterns, strict=False)
        return next((stage for stage, pattern in named if re.match(pattern, name)), "stage4")

    return stage_of


def _by_position(body: _Body, ends: Sequence[int]) -> StageOf:
    """`ends`: positions of the last module before stage1 and of the last ones in stage1, 2 and 3."""
    pattern = _stem_pattern(body.model)

    def stage_of(name: str) -> str:
        owner = name if name in body.modules else name.rpartition(".")[0]
        if not owner or (pattern is not None and pattern.match(name)):
            return _STEM
        named = zip((_STEM, *_STAGES), ends, strict=False)
        return next((stage for stage, end in named if body.position[owner] <= end), "stage4")

    return stage_of


def _stem_pattern(model: nn.Module) -> re.Pattern[str] | None:
    """timm's own pattern of the stem; None where it has none, or groups by a function of the name."""
    group_matcher = getattr(model, "group_matcher", None)
    groups: Any = group_matcher(coarse=False) if callable(group_matcher) else None
    stem = KNOWN_STEMS.get(type(model).__name__) or (groups.get("stem") if isinstance(groups, dict) else None)
    return re.compile(stem) if isinstance(stem, str) else None


def _feature_rows(body: _Body) -> Rows:
    """Rows of `feature_info` that name a module of the body, in order; a wrapped encoder's with its prefix."""
    info: Any = getattr(body.model, "feature_info", None) or []
    rows: Rows = []
    for row in getattr(info, "info", info):
        wanted = row["module"]
        found = [name for name in body.position if wanted and f".{name}".endswith(f".{wanted}")]
        name = wanted if wanted in found else found[0] if len(found) == 1 else None
        if name is not None and name not in dict(rows):
            rows.append((name, row["reduction"]))
    return rows


def _stem_end(body: _Body, rows: Rows, first: str) -> int:
    """Position where the stem ends: -1 if a pattern names it; at reduction 2; or before the child holding `first`."""
    if _stem_pattern(body.model) is not None:
        return -1
    half = next((body.end(name) for name, reduction in rows if reduction == 2), None)
    return body.before(first.partition(".")[0]) if half is None else half


def _ends_by_reduction(body: _Body, rows: Rows) -> list[int]:
    tapped = {reduction: name for name, reduction in rows}
    if not {4, 8, 16, 32} <= tapped.keys():
        return []
    return [_stem_end(body, rows, tapped[4]), *(_end_of_tap(body, tapped[reduction]) for reduction in (4, 8, 16))]


def _end_of_tap(body: _Body, tap: str) -> int:
    """Aligned Xception taps the inside of the block that reduces next; elsewhere the tap ends its level."""
    inside = re.match(r"(.+)\.stack\.", tap)
    return body.before(inside[1]) if inside else body.end(tap)


def _ends_by_level(body: _Body, rows: Rows) -> list[int]:
    last = rows[-1][0] if rows else ""
    levels = [name for name, _ in rows if name.rpartition(".")[0] == last.rpartition(".")[0]]
    if len(levels) not in (3, 4) or len({reduction for _, reduction in rows}) == 1:
        return []
    ends = [body.end(level) for level in levels]
    if len(levels) == 3:
        longest = max(reversed(levels), key=lambda level: len(_blocks_inside(body, level)))
        inner = _blocks_inside(body, longest)
        ends = sorted([*ends, body.end(inner[(len(inner) - 1) // 2])])
    return [_stem_end(body, rows, levels[0]), *ends[:3]]


def _isotropic_blocks(rows: Rows) -> list[str]:
    return [name for name, _ in rows] if len({reduction for _, reduction in rows}) == 1 else []


def _ends_of_runs(body: _Body, blocks: Sequence[str]) -> list[int]:
    """Four runs of equal depth, the earlier ones longer where it does not divide; of fewer blocks the last runs."""
    if not blocks:
        return []
    count = len(blocks)
    runs = [index * 4 // count if count >= 4 else 4 - count + index for index in range(count)]
    starts = [next(block for block, own in zip(blocks, runs, strict=True) if own >= run) for run in (1, 2, 3)]
    return [body.before(blocks[0]), *(body.before(start) for start in starts)]


def _ends_of_children(body: _Body) -> list[int]:
    """Four siblings of a well-known name and number, or a list of four with a well-known name."""
    for name in ("", *body.position):
        groups: dict[str, list[str]] = {}
        for block in body.blocks(name):
            numbered = _NUMBERED.match(block)
            key = numbered[1] if numbered else name if name.rpartition(".")[2] in _LISTS else ""
            groups.setdefault(key, []).append(block)
        for key, blocks in groups.items():
            if key and len(blocks) == 4:
                return [body.before(blocks[0]), *(body.end(block) for block in blocks[:3])]
    return []


def _blocks_inside(body: _Body, level: str) -> list[str]:
    """The blocks of one level: its own list of them, or whatever part of it has most children."""
    if f"{level}.blocks" in body.position:
        return body.blocks(f"{level}.blocks")
    return max((body.blocks(name) for name in body.position if _is_inside(name, level)), key=len)


def _outermost_blocks(body: _Body) -> list[str]:
    """The blocks of the outermost module that has four of them, else of the one that has most, without the stem.

    The stem is what comes before them; where nothing does, the first of them.
    """
    parents = sorted(("", *body.position), key=lambda name: name.count(".") + bool(name))
    candidates = [_without_stem(body, body.blocks(name)) for name in parents]
    return next((blocks for blocks in candidates if len(blocks) >= 4), max(candidates, key=len))


def _without_stem(body: _Body, blocks: list[str]) -> list[str]:
    return blocks[1:] if blocks and body.before(blocks[0]) <= 0 else blocks
