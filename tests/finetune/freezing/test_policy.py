"""Policies: names, stages, patterns, and near names for what is none of them."""

import pytest

from finetune.errors import FreezeError
from finetune.freezing import NAMED_POLICIES, parse_policy


def test_the_two_readings_of_the_guide() -> None:
    assert parse_policy("first-three").stages == ("stem", "stage1", "stage2", "stage3")
    assert parse_policy("last-two-stages").stages == ("stem", "stage1", "stage2")


def test_every_named_policy_parses_to_its_own_name() -> None:
    assert [parse_policy(name).text for name in NAMED_POLICIES] == list(NAMED_POLICIES)


def test_a_list_may_mix_stages_and_patterns() -> None:
    policy = parse_policy("stage1, layer2.*.bn*")
    assert (policy.stages, policy.patterns) == (("stage1",), ("layer2.*.bn*",))


@pytest.mark.parametrize(
    ("word", "near"), [("first-tree", "first-three"), ("stage5", "stage4"), ("head-onyl", "head-only")]
)
def test_a_misspelt_word_is_answered_with_the_nearest(word: str, near: str) -> None:
    with pytest.raises(FreezeError, match=near):
        parse_policy(word)
