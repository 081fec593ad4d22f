"""Checks the wording of a freeze policy, before any network is known."""

from collections.abc import Sequence

from recipes.nearest import nearest

POLICIES = ("first-three", "last-two-stages", "head-only", "norm-only", "full")
SCHEDULES = ("gradual", "phases")
STAGES = ("stem", "stage1", "stage2", "stage3", "stage4", "head")
_PATTERN_CHARACTERS = frozenset("*?[].")
_LIKE_A_STAGE = 0.75


def check_policy(policy: str | Sequence[str], *, may_be_scheduled: bool = True) -> None:
    """Accept a policy name, or stages and glob patterns as a list or separated by commas.

    `may_be_scheduled`: whether a name that stands for several phases is accepted too.

    Raises ValueError saying what was probably meant. In a list a plain word may also be the
    whole name of one parameter (`cls_token`), unless it looks like a misspelt stage.
    """
    names = (*POLICIES, *SCHEDULES) if may_be_scheduled else POLICIES
    words = [word.strip() for word in policy.split(",")] if isinstance(policy, str) else list(policy)
    if not words or not all(words):
        raise ValueError(f"nothing to freeze is named; for that there is 'full'. Policies: {', '.join(names)}")
    if len(words) == 1 and words[0] in names:
        return
    for word in words:
        _check_word(word, names, is_listed=not isinstance(policy, str))


def check_stage(word: str) -> None:
    """Accept the name of a stage.

    Raises ValueError naming the stages, and the nearest one.
    """
    if word not in STAGES:
        meant = nearest(word, STAGES)
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise ValueError(f"{word!r} is not a stage ({', '.join(STAGES)}){hint}")


def _check_word(word: str, names: Sequence[str], *, is_listed: bool) -> None:
    if word in STAGES or _PATTERN_CHARACTERS.intersection(word):
        return
    if word in SCHEDULES and word not in names:
        raise ValueError(f"{word!r} stands for several phases; it cannot be one of them")
    if word in names:
        raise ValueError(f"{word!r} is a whole policy; it cannot stand among others")
    meant = nearest(word, (*names, *STAGES), _LIKE_A_STAGE if is_listed else 0.6)
    if meant:
        what = "a policy" if meant in names else f"a stage ({', '.join(STAGES)})"
        raise ValueError(f"{word!r} is not {what}; did you mean {meant!r}?")
    if not is_listed:
        raise ValueError(
            f"{word!r} is neither a policy ({', '.join(names)}), a stage ({', '.join(STAGES)}) nor a pattern"
        )
