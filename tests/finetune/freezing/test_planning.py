"""Plans: which parameter learns, which module sleeps."""

import pytest

from finetune.backbones import load_backbone
from finetune.errors import FreezeError
from finetune.freezing import parse_policy, plan_freeze


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_first_three_trains_exactly_layer4_and_fc(name: str) -> None:
    backbone = load_backbone(name, "none", 2)
    plan = plan_freeze(backbone, parse_policy("first-three"))
    expected = {key for key, _ in backbone.model.named_parameters() if key.startswith(("layer4.", "fc."))}
    assert plan.trainable_parameters == expected
    assert [row.name for row in plan.stages] == ["stem", "stage1", "stage2", "stage3", "stage4", "head"]
    assert [row.is_frozen for row in plan.stages] == [True] * 4 + [False] * 2


def test_last_two_stages_trains_layer3_layer4_and_fc() -> None:
    backbone = load_backbone("resnet18", "none", 2)
    plan = plan_freeze(backbone, parse_policy("last-two-stages"))
    assert {key.split(".")[0] for key in plan.trainable_parameters} == {"layer3", "layer4", "fc"}


def test_a_pattern_that_matches_nothing_is_named_with_near_names() -> None:
    backbone = load_backbone("resnet18", "none", 2)
    with pytest.raises(FreezeError, match=r"'layer9\.\*'.*layer"):
        plan_freeze(backbone, parse_policy(["stage1", "layer9.*"]))


def test_freezing_everything_is_refused() -> None:
    backbone = load_backbone("resnet18", "none", 2)
    with pytest.raises(FreezeError, match="at least the head must learn"):
        plan_freeze(backbone, parse_policy(["*"]))


def test_norm_layers_of_the_tail_keep_pretrained_statistics_and_follow_batches_without_them() -> None:
    backbone = load_backbone("resnet18", "none", 2)
    policy = parse_policy("first-three")
    assert "layer4.0.bn1" in plan_freeze(backbone, policy, tail_norm="fixed").eval_modules
    assert "layer4.0.bn1" not in plan_freeze(backbone, policy, tail_norm="auto").eval_modules
    pretrained = load_backbone("tf_efficientnet_lite0", "embedded", 2)
    fixed = plan_freeze(pretrained, policy, tail_norm="auto")
    assert "bn2" in fixed.eval_modules
    assert "bn2.running_mean" in fixed.frozen_buffers
    assert "bn2.weight" in fixed.trainable_parameters


def test_a_tensor_shared_with_a_trainable_place_learns() -> None:
    backbone = load_backbone("resnet18", "none", 2)
    backbone.model.layer1[0].bn1.weight = backbone.model.layer4[0].bn1.weight  # type: ignore[index,union-attr]
    plan = plan_freeze(backbone, parse_policy("first-three"))
    assert "layer1.0.bn1.weight" in plan.trainable_parameters
