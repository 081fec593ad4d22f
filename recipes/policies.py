"""Checks the wording of a freeze policy, before any network is known."""

from collections.abc import Sequence

from recipes.nearest import nearest

POLICIES = ("first-three", "last-two-stages", "head-only", "full")
STAGES = ("stem", "stage1", "stage2", "stage3", "stage4", "head")
_PATTERN_CHARACTERS = frozenset("*?[].")
_LIKE_A_STAGE = 0.75


def check_policy(policy: str | Sequence[str]) -> None:
    """Accept a policy name, or stages and glob patterns as a list or separated by commas.

    Raises ValueError saying what was probably meant. In a list a plain word may also be the
    whole name of one parameter (`cls_token`), unless it looks like a misspelt stage.
    """
    if isinstance(policy, str) and policy in POLICIES:
        return
    words = [word.strip() for word in policy.split(",")] if isinstance(policy, str) else list(policy)
    if not words or not all(words):
        raise ValueError(f"nothing to freeze is named; for that there is 'full'. Policies: {', '.join(POLICIES)}")
    if len(words) == 1 and words[0] in POLICIES:
        return
    for word in words:
        _check_word(word, is_listed=not isinstance(policy, str))


def _check_word(word: str, *, is_listed: bool) -> None:
    if word in STAGES or _PATTERN_CHARACTERS.intersection(word):
        return
    if word in POLICIES:
        raise ValueError(f"{word!r} is a whole policy; it cannot stand among others")
    meant = nearest(word, (*POLICIES, *STAGES), _LIKE_A_STAGE if is_listed else 0.6)
    if meant:
        what = "a policy" if meant in POLICIES else f"a stage ({', '.join(STAGES)})"
        raise ValueError(f"{word!r} is not {what}; did you mean {meant!r}?")
    if not is_listed:
        raise ValueError(
            f"{word!r} is neither a policy ({', '.join(POLICIES)}), a stage ({', '.join(STAGES)}) nor a pattern"
        )
