"""The stage vocabulary at the boundaries that a person would draw."""

import csv
from collections import OrderedDict
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn

from finetune.backbones import STAGES, map_stages
from finetune.backbones.stages import replace_classifier
from finetune.errors import FreezeError, NoClassifierError

# First and last module with parameters of each stage; checked by hand against the papers' depths and
# the reduction of each module's output. A bare parameter of the model stands under its own name.
with (Path(__file__).parent / "boundaries.csv").open(encoding="utf-8") as file:
    BOUNDARIES = {}
    for row in csv.DictReader(file):
        BOUNDARIES.setdefault(row["model"], {})[row["stage"]] = (row["first"], row["last"])


def made(name: str) -> nn.Module:
    with torch.device("meta"):
        return timm.create_model(name, num_classes=10)


def boundaries_of(model: nn.Module) -> dict[str, tuple[str, str]]:
    owners: dict[str, list[str]] = {}
    for parameter, stage in map_stages(model).parameters.items():
        owners.setdefault(stage, []).append(parameter.rpartition(".")[0] or parameter)
    return {stage: (names[0], names[-1]) for stage, names in owners.items()}


def test_the_table_holds_forty_models_or_more() -> None:
    assert len(BOUNDARIES) >= 40
    assert all(tuple(stages) == STAGES for stages in BOUNDARIES.values())


@pytest.mark.parametrize("name", BOUNDARIES)
def test_stages_begin_and_end_where_a_person_would_say(name: str) -> None:
    assert boundaries_of(made(name)) == BOUNDARIES[name]


def test_every_parameter_and_buffer_has_one_stage() -> None:
    model = made("swin_tiny_patch4_window7_224")
    stages = map_stages(model)
    assert list(stages.parameters) == [key for key, _ in model.named_parameters(remove_duplicate=False)]
    assert list(stages.buffers) == [key for key, _ in model.named_buffers(remove_duplicate=False)]
    assert set(stages.parameters.values()) == set(STAGES)


def test_what_follows_the_last_level_is_stage4_up_to_the_classifier() -> None:
    stages = map_stages(made("convnext_tiny")).modules
    assert stages["head.norm"] == "stage4"
    assert stages["head.fc"] == "head"


def test_every_classifier_of_a_distilled_model_is_head() -> None:
    stages = map_stages(made("levit_384_s8")).modules
    assert stages["head.linear"] == stages["head_dist.linear"] == "head"


def test_bare_parameters_stand_where_they_are_used() -> None:
    assert map_stages(made("visformer_tiny")).parameters["pos_embed3"] == "stage4"
    assert map_stages(made("coat_tiny")).parameters["cls_token2"] == "stage2"
    assert map_stages(made("efficientvim_m1")).parameters["weights"] == "head"
    assert map_stages(made("vit_base_patch16_224")).parameters["cls_token"] == "stem"


@pytest.mark.parametrize("name", ["qwen3_vit_88m_enc", "mobilenetv5_300m_enc"])
def test_an_encoder_is_refused_since_it_takes_no_classifier(name: str) -> None:
    model = made(name)
    for action in (map_stages, lambda model: replace_classifier(model, 3)):
        with pytest.raises(NoClassifierError, match=f"{type(model).__name__} takes no classifier"):
            action(model)


def small_cnn(blocks: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(blocks):
        layers += [nn.Conv2d(8 if number else 3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))


def test_torchvision_resnet_has_the_stages_of_timms() -> None:
    with torch.device("meta"):
        model = torchvision.models.resnet18()
    assert boundaries_of(model) == BOUNDARIES["resnet18"]
    assert map_stages(model).rule == "named children"


def test_torchvision_mobilenet_is_cut_into_equal_runs_of_its_blocks() -> None:
    with torch.device("meta"):
        model = torchvision.models.mobilenet_v3_small()
    found = boundaries_of(model)
    assert found["stem"] == ("features.0.0", "features.0.1")
    assert [found[f"stage{number}"][0].split(".")[1] for number in (1, 2, 3, 4)] == ["1", "4", "7", "10"]
    assert found["stage4"][1] == "classifier.0"
    assert found["head"] == ("classifier.3", "classifier.3")


def test_torchvision_vit_is_cut_into_equal_runs_of_its_layers() -> None:
    with torch.device("meta"):
        found = boundaries_of(torchvision.models.vit_b_16())
    assert found["stem"][0] == "class_token"
    assert found["stage2"][0].startswith("encoder.layers.encoder_layer_3.")
    assert found["stage4"][1] == "encoder.ln"
    assert found["head"] == ("heads.head", "heads.head")


def test_a_norm_goes_with_the_convolution_before_it_in_a_plain_sequence() -> None:
    assert boundaries_of(small_cnn(6)) == {
        "stem": ("0", "1"),
        "stage1": ("3", "7"),
        "stage2": ("9", "10"),
        "stage3": ("12", "13"),
        "stage4": ("15", "16"),
        "head": ("20", "20"),
    }


def test_of_fewer_than_four_blocks_the_last_is_stage4() -> None:
    stages = map_stages(small_cnn(3))
    assert stages.empty_stages == ("stage1", "stage2")
    assert stages.parameters["3.weight"] == "stage3"
    assert stages.parameters["6.weight"] == "stage4"


def test_a_network_without_classifier_or_without_body_is_refused() -> None:
    with pytest.raises(NoClassifierError):
        map_stages(nn.Sequential(OrderedDict(body=nn.Conv2d(3, 3, 1))))
    with pytest.raises(FreezeError, match="no layers with weights beside its classifier"):
        map_stages(nn.Sequential(nn.Flatten(), nn.Linear(3, 3)))
