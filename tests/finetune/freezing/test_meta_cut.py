"""The cut on the meta device is the cut that a run makes."""

from dataclasses import replace

import pytest
import torch

from finetune.backbones import Backbone, load_backbone
from finetune.freezing import Cut, cut_model, lock_model, parse_policy, plan_freeze

CASES = [
    ("resnet18", "first-three"),
    ("resnet18", "layer2.*,fc.bias"),
    ("resnet18", "full"),
    ("resnet18", "head-only"),
    ("tf_efficientnet_lite0", "last-two-stages"),
    ("tf_efficientnet_lite0", "head-only"),
    ("convnext_atto", "first-three"),
    ("vit_tiny_patch16_224", "first-three"),
    ("levit_128s", "last-two-stages"),
    ("mobileone_s0", "first-three"),
    ("nfnet_l0", "last-two-stages"),
]


def locked(name: str, policy: str) -> tuple[Backbone, Cut]:
    """The backbone and its cut, on whatever device is the default."""
    backbone = replace(load_backbone(name, "none", 3, dropout=0.2), is_pretrained=True)
    plan = plan_freeze(backbone, parse_policy(policy))
    lock_model(backbone.model, plan)
    example = torch.ones(2, 3, backbone.preprocessing.height, backbone.preprocessing.width)
    return backbone, cut_model(backbone.model, plan, example)


@pytest.mark.parametrize(("name", "policy"), CASES)
def test_a_sketch_names_the_cut_of_the_network_with_values(name: str, policy: str) -> None:
    _, real = locked(name, policy)
    with torch.device("meta"):
        backbone, sketch = locked(name, policy)
    assert all(parameter.is_meta for parameter in backbone.model.parameters())
    assert (sketch.names, sketch.shapes, sketch.reason) == (real.names, real.shapes, real.reason)
    for part in ("trunk", "train_tail", "eval_tail"):
        assert getattr(getattr(sketch, part), "code", None) == getattr(getattr(real, part), "code", None)


def test_a_network_that_cannot_be_traced_is_sketched_whole_and_says_why() -> None:
    with torch.device("meta"):
        _, sketch = locked("gemma4_vit_167m", "first-three")
    assert sketch.trunk is None
    assert "cannot be traced" in sketch.reason
