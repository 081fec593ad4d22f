"""A folded trunk is the same function, and folding leaves the trunk as it was."""

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from finetune.backbones import load_backbone
from finetune.features.folding import fold_norms
from finetune.freezing import cut_model, frozen_digest, lock_model, parse_policy, plan_freeze


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "densenet121", "mobileone_s0", "nf_resnet26"])
def test_folding_changes_nothing_but_rounding_with_moved_statistics(
    name: str, dtype: torch.dtype, tolerance: float
) -> None:
    backbone = load_backbone(name, "none", 3)
    generator = torch.Generator().manual_seed(0)
    for module in backbone.model.to(dtype).modules():
        if isinstance(module, _BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
    plan = plan_freeze(backbone, parse_policy("first-three"))
    lock_model(backbone.model, plan)
    images = torch.randn(2, 3, 64, 64, generator=generator, dtype=dtype)
    cut = cut_model(backbone.model, plan, images)
    assert cut.trunk is not None
    before = frozen_digest(backbone.model, plan)
    folded = fold_norms(cut.trunk)
    for one, other in zip(cut.trunk(images), folded(images), strict=True):
        assert (one - other).abs().max() <= tolerance * one.abs().max()
    assert frozen_digest(backbone.model, plan) == before
    norms = [sum(isinstance(module, _BatchNorm) for module in part.modules()) for part in (cut.trunk, folded)]
    assert norms[1] < norms[0] or norms[0] == 0
