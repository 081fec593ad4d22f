"""Networks of one channel: grey pictures give what their three-channel twin gives, and timm loads what was saved."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import finetune
from data_tools import build_evaluation_pipeline
from finetune.backbones import expected_preprocessing, load_backbone
from finetune.errors import InputError
from recipes import Recipe, load_recipe

GREY = np.random.default_rng(0).integers(0, 256, (90, 100, 1), dtype=np.uint8).repeat(3, axis=2)
LITE0 = "tf_efficientnet_lite0"


def logits(backbone: finetune.backbones.Backbone) -> torch.Tensor:
    image = torch.from_numpy(build_evaluation_pipeline(backbone.preprocessing)(GREY, 0))
    with torch.inference_mode():
        return backbone.model.double().eval()(image[None].double())


def test_a_grey_picture_gives_the_logits_of_the_network_for_colours() -> None:
    wide = load_backbone(LITE0, "embedded", 2, image_size=64)
    narrow = load_backbone(LITE0, "embedded", 2, image_size=64, channels=1)
    assert narrow.preprocessing.channels == 1
    assert narrow.preprocessing.mean == (0.5,)
    assert torch.allclose(logits(wide), logits(narrow), rtol=1e-6, atol=1e-7)


def test_the_preprocessing_is_known_before_the_network_is_built() -> None:
    for channels in (1, 3):
        built = load_backbone("resnet18", "none", 2, channels=channels).preprocessing
        assert expected_preprocessing("resnet18", None, channels) == built


def test_the_weights_of_a_file_of_one_channel_are_taken_as_they_are(tmp_path: Path) -> None:
    torch.manual_seed(0)
    saved = timm.create_model("resnet18", in_chans=1)
    save_file(saved.state_dict(), tmp_path / "grey.safetensors")
    loaded = load_backbone("resnet18", str(tmp_path / "grey.safetensors"), 2, channels=1)
    assert torch.equal(loaded.model.conv1.weight, saved.conv1.weight)
    assert loaded.preprocessing.mean == (pytest.approx((0.485 + 0.456 + 0.406) / 3),)
    also = load_backbone("resnet18", str(tmp_path / "grey.safetensors"), 2)
    assert also.preprocessing.channels == 1


@pytest.mark.parametrize("name", ["convnext_atto", "vit_tiny_patch16_224", "mobilenetv3_small_050", "densenet121"])
def test_other_architectures_can_be_narrowed(name: str) -> None:
    backbone = load_backbone(name, "none", 2, channels=1)
    size = (backbone.preprocessing.height, backbone.preprocessing.width)
    assert backbone.model.eval()(torch.zeros(1, 1, *size)).shape == (1, 2)


def test_a_network_that_begins_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from finetune.backbones import channels

    monkeypatch.setattr(channels, "_first_layers", lambda model: iter([("head", torch.nn.Linear(3, 3))]))
    with pytest.raises(InputError, match=r"does not begin with a convolution over colours \(head\)"):
        load_backbone("resnet18", "none", 2, channels=1)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("head", ["linear", "multi-stage"])
def test_a_run_in_grey_leaves_a_model_that_loads_again(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, head: str
) -> None:
    model = small_recipe.model.model_copy(update={"channels": 1})
    changes = {"model": model, "head": small_recipe.head.model_copy(update={"kind": head})}
    result = finetune.run(digits_folder, small_recipe.model_copy(update=changes), tmp_path / "run")
    assert result.is_verified
    assert result.evaluation.overall["balanced_accuracy"].value > 0.8
    again = finetune.load_model(tmp_path / "run" / "model")
    assert again.preprocessing.channels == 1
    table = (tmp_path / "run" / "predictions.csv").read_text().splitlines()
    path, *_ = table[1].split(",")
    pixels = np.asarray(Image.open(digits_folder / path).convert("RGB"))
    image = torch.from_numpy(
        build_evaluation_pipeline(load_backbone(LITE0, "none", 3, image_size=64, channels=1).preprocessing)(pixels, 0)
    )
    with torch.inference_mode():
        scores = again.model(image[None]).softmax(1)[0]
    wanted = [float(value) for value in table[1].split(",")[-3:]]
    assert scores.tolist() == pytest.approx(wanted, abs=1e-5)
    if head == "linear":
        plain = timm.create_model(f"local-dir:{tmp_path / 'run' / 'model'}", pretrained=True).eval()
        with torch.inference_mode():
            assert torch.equal(plain(image[None]).softmax(1)[0], scores)


def test_a_recipe_of_two_channels_is_refused() -> None:
    with pytest.raises(Exception, match="model.channels"):
        load_recipe(None, {"model.channels": 2})
