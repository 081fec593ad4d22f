"""The stage vocabulary at the boundaries that a person would draw."""

import pytest
import timm
import torch

from finetune.backbones import STAGES, map_stages

BOUNDARIES = {
    "resnet18": {
        "stem": "bn1.bias",
        "stage1": "layer1.1.bn2.bias",
        "stage4": "layer4.1.bn2.bias",
        "head": "fc.bias",
    },
    "tf_efficientnet_lite0": {
        "stem": "bn1.bias",
        "stage1": "blocks.1.1.bn3.bias",
        "stage2": "blocks.2.1.bn3.bias",
        "stage3": "blocks.4.2.bn3.bias",
        "stage4": "bn2.bias",
    },
    "convnext_atto": {
        "stem": "stem.1.bias",
        "stage3": "stages.2.blocks.5.mlp.fc2.bias",
        "stage4": "head.norm.bias",
    },
    "vit_tiny_patch16_224": {
        "stem": "patch_embed.proj.bias",
        "stage1": "blocks.2.mlp.fc2.bias",
        "stage4": "norm.bias",
    },
    "densenet121": {
        "stage1": "features.denseblock1.denselayer6.conv2.weight",
        "stage4": "features.norm5.bias",
    },
    "mobilenetv3_small_050": {
        "stem": "bn1.bias",
        "stage2": "blocks.1.1.bn3.bias",
        "stage3": "blocks.3.1.bn3.bias",
    },
    "swin_tiny_patch4_window7_224": {"stage1": "layers.0.blocks.1.mlp.fc2.bias", "stage4": "norm.bias"},
}


@pytest.mark.parametrize("name", BOUNDARIES)
def test_stages_end_where_a_person_would_end_them(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name)
    stages = map_stages(model)
    assert stages.empty_stages == ()
    last: dict[str, str] = {}
    for parameter, stage in stages.parameters.items():
        last[stage] = parameter
    assert {stage: last[stage] for stage in BOUNDARIES[name]} == BOUNDARIES[name]


@pytest.mark.parametrize("name", BOUNDARIES)
def test_every_parameter_and_buffer_has_one_stage(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name)
    stages = map_stages(model)
    assert list(stages.parameters) == [key for key, _ in model.named_parameters(remove_duplicate=False)]
    assert list(stages.buffers) == [key for key, _ in model.named_buffers(remove_duplicate=False)]
    assert set(stages.parameters.values()) == set(STAGES)
