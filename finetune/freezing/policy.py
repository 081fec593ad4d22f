"""Freeze policies: the wish, before any network is known."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from finetune.backbones import STAGES
from finetune.errors import FreezeError

NAMED_POLICIES: dict[str, tuple[str, ...]] = {
    "first-three": STAGES[:4],
    "last-two-stages": STAGES[:3],
    "head-only": STAGES[:5],
    "norm-only": STAGES[:5],
    "full": (),
}
_GLOB_CHARACTERS = frozenset("*?[].")


@dataclass(frozen=True)
class FreezePolicy:
    """What shall be frozen: stages by name and parameters by glob over their names."""

    text: str
    stages: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    spares_norms: bool = False
    """Whether the affine parameters of norm layers learn, wherever they stand."""


def parse_policy(wish: str | Sequence[str]) -> FreezePolicy:
    """Read a policy name, a comma-separated list, or a list of stages and parameter globs to freeze.

    Raises FreezeError for a word that is neither, naming the nearest policies and stages.
    """
    words = [word.strip() for word in (wish.split(",") if isinstance(wish, str) else wish)]
    if len(words) == 1 and words[0] in NAMED_POLICIES:
        return FreezePolicy(words[0], stages=NAMED_POLICIES[words[0]], spares_norms=words[0] == "norm-only")
    stages = tuple(word for word in words if word in STAGES)
    patterns = tuple(word for word in words if word not in STAGES)
    if isinstance(wish, str):
        for word in patterns:
            _check_word(word)
    return FreezePolicy(",".join(words), stages, patterns)


def _check_word(word: str) -> None:
    if _GLOB_CHARACTERS.intersection(word):
        return
    known = [*NAMED_POLICIES, *STAGES]
    near = difflib.get_close_matches(word, known, n=2, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(repr(name) for name in near)}?"
        if near
        else f"policies: {', '.join(NAMED_POLICIES)}."
    )
    raise FreezeError(f"{word!r} is neither a freeze policy, a stage nor a pattern over parameter names; {hint}")
