"""From the features of an earlier cut to those of a later one: the same numbers, or no bridge."""

import numpy as np
import pytest
import torch

from finetune.backbones import load_backbone
from finetune.features import StoredSource, fold_norms, run_bridge
from finetune.freezing import Cut, bridge_cuts, cut_model, lock_model, parse_policy, plan_freeze

EXAMPLE = torch.randn((2, 3, 64, 64), generator=torch.Generator().manual_seed(0))


def cuts(name: str, early: str, late: str) -> tuple[Cut, Cut]:
    backbone = load_backbone(name, "none", 3)
    made = []
    for policy in (early, late):
        plan = plan_freeze(backbone, parse_policy(policy))
        lock_model(backbone.model, plan)
        made.append(cut_model(backbone.model, plan, EXAMPLE))
    return made[0], made[1]


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "densenet121", "convnext_atto"])
def test_a_bridge_gives_the_features_of_the_later_trunk(name: str) -> None:
    early, late = cuts(name, "last-two-stages", "first-three")
    bridge = bridge_cuts(early, late, EXAMPLE)
    assert early.trunk is not None
    assert late.trunk is not None
    assert bridge is not None
    images = torch.randn((6, 3, 64, 64), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        stored = [feature.unflatten(0, (3, 2)).numpy() for feature in early.trunk(images)]
        expected = [feature.unflatten(0, (3, 2)) for feature in late.trunk(images)]
    source = StoredSource(stored, torch.zeros(3, dtype=torch.long), torch.device("cpu"))
    for crossing in (bridge, fold_norms(bridge)):
        made = [torch.cat(parts) for parts in zip(*run_bridge(crossing, source, [2, 0]), strict=True)]
        for one, other in zip(made, expected, strict=True):
            assert one.shape == (2, 2, *other.shape[2:])
            np.testing.assert_allclose(one, other[[2, 0]], rtol=0, atol=1e-4 * float(other.abs().max()))


def test_there_is_no_bridge_backwards_nor_between_two_networks() -> None:
    early, late = cuts("resnet18", "last-two-stages", "first-three")
    assert bridge_cuts(late, early, EXAMPLE) is None
    _, other = cuts("resnet34", "last-two-stages", "first-three")
    assert bridge_cuts(early, other, EXAMPLE) is None


def test_a_bridge_whose_weights_are_not_those_of_the_later_cut_is_refused() -> None:
    early, _ = cuts("resnet18", "last-two-stages", "first-three")
    _, late = cuts("resnet18", "last-two-stages", "first-three")
    assert late.trunk is not None
    with torch.no_grad():
        for parameter in late.trunk.parameters():
            parameter.mul_(1.5)
    assert bridge_cuts(early, late, EXAMPLE) is None
