"""Networks that cannot have a multi-stage head, and the reason that is given."""

import pytest
import torch
from torch import nn

from finetune.backbones import load_backbone
from finetune.errors import FreezeError
from finetune.heads import add_multi_stage_head


class OtherInTraining(nn.Module):
    """Adds one to its input in training mode only."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + 1 if self.training else values


class DrawsInFunction(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(values, 0.5, self.training)


class LooksAtItsValues(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values if values.sum() > 0 else -values


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (OtherInTraining(), "other steps in training than in evaluation"),
        (DrawsInFunction(), "draws at random outside of any module"),
        (LooksAtItsValues(), "graph cannot be traced"),
    ],
)
def test_a_network_that_one_graph_cannot_be_is_refused_with_the_reason(module: nn.Module, reason: str) -> None:
    backbone = load_backbone("resnet18", "none", 3, image_size=32)
    backbone.model.layer2.append(module)
    with pytest.raises(FreezeError, match=rf"^resnet18 cannot have a multi-stage head: .*{reason}.* head.kind linear"):
        add_multi_stage_head(backbone, 3)


def test_a_network_without_four_maps_is_refused() -> None:
    backbone = load_backbone("resnet18", "none", 3, image_size=32)
    stages = backbone.stages
    for name in [name for name, stage in stages.modules.items() if stage == "stage2"]:
        stages.modules[name] = "stage1"
    with pytest.raises(FreezeError, match="its stage2 holds no map"):
        add_multi_stage_head(backbone, 3)
