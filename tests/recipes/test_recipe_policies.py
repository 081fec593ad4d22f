"""`recipes.policies`: the wording of a freeze policy."""

import pytest

from recipes.policies import POLICIES, SCHEDULES, STAGES, check_policy


@pytest.mark.parametrize(
    "policy",
    [
        *POLICIES,
        *SCHEDULES,
        "stem",
        "stem, stage1",
        "blocks.0.*",
        "stem,blocks.0.*",
        "*bn*",
        "layer1.0.conv1.weight",
        ["stem", "stage1"],
        ["full"],
        ["cls_token", "pos_embed"],
    ],
)
def test_a_policy_a_stage_or_a_pattern_is_accepted(policy):
    check_policy(policy)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("first-tree", "'first-tree' is not a policy; did you mean 'first-three'?"),
        ("stage5", r"'stage5' is not a stage \(stem, stage1"),
        ("stem,stge1", "did you mean 'stage1'"),
        ("layer1", "neither a policy"),
        ("", "nothing to freeze is named"),
        ("stem,", "nothing to freeze is named"),
        ([], "nothing to freeze is named"),
        (["stage99"], "'stage99' is not a stage"),
        (["stem", "full"], "cannot stand among others"),
    ],
)
def test_anything_else_is_refused_with_what_was_meant(policy, said):
    with pytest.raises(ValueError, match=said):
        check_policy(policy)


@pytest.mark.parametrize("policy", SCHEDULES)
def test_a_phase_is_no_schedule_itself(policy):
    with pytest.raises(ValueError, match="several phases"):
        check_policy(policy, may_be_scheduled=False)


def test_the_engine_knows_the_same_policies_and_stages():
    from finetune.backbones import STAGES as BACKBONE_STAGES
    from finetune.freezing.policy import NAMED_POLICIES

    assert tuple(NAMED_POLICIES) == POLICIES
    assert tuple(BACKBONE_STAGES) == STAGES
