"""A saved model comes back as it was, to the bit, whichever head it has."""

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

import finetune
from finetune.backbones import Backbone, load_backbone
from finetune.errors import WeightsError
from finetune.exporting import save_model_folder
from finetune.heads import add_multi_stage_head

LABELS = ("cat", "dog", "owl")


def made(name: str, size: int | None, *, is_plain: bool = False) -> Backbone:
    backbone = load_backbone(name, "none", 3, image_size=size, dropout=0.2)
    return backbone if is_plain else add_multi_stage_head(backbone, 3, dropout=0.2)


def logits(backbone: Backbone) -> torch.Tensor:
    size = backbone.preprocessing.height
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made: torch.Tensor = backbone.model.eval()(pixels)
    return made


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet18", 64), ("vit_tiny_patch16_224", 32), ("swin_tiny_patch4_window7_224", 64), ("mobilevit_xxs", 64)],
)
@pytest.mark.parametrize("is_plain", [False, True])
def test_a_folder_is_loaded_to_the_same_logits(name: str, size: int | None, is_plain: bool, tmp_path: Path) -> None:
    backbone = made(name, size, is_plain=is_plain)
    save_model_folder(backbone, LABELS, tmp_path / "model")
    loaded = finetune.load_model(tmp_path / "model")
    assert loaded.head == backbone.head == ("linear" if is_plain else "multi-stage")
    assert loaded.preprocessing == backbone.preprocessing
    assert loaded.model.state_dict().keys() == backbone.model.state_dict().keys()
    assert torch.equal(logits(loaded), logits(backbone))


def test_plain_timm_refuses_it_and_config_says_what_it_is(tmp_path: Path) -> None:
    save_model_folder(made("resnet18", 64), LABELS, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["tailtune"] == {"head": "multi-stage", "features": 1920, "plain_features": 512}
    assert config["label_names"] == list(LABELS)
    with pytest.raises(RuntimeError, match=r"fc\.weight"):
        timm.create_model(f"local-dir:{tmp_path}", pretrained=True)


def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    save_model_folder(made("resnet18", 64), LABELS, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("layer1.0.conv1.weight")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"layer1\.0\.conv1\.weight"):
        finetune.load_model(str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="does not exist"):
        finetune.load_model(str(tmp_path))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(WeightsError, match="holds no saved model"):
        finetune.load_model(str(tmp_path))
