"""Backbones with weights from everywhere, and words for every weights file that cannot be used."""

import pickle
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from finetune.backbones import check_weights, expected_preprocessing, load_backbone
from finetune.backbones.weights import read_embedded_weights
from finetune.errors import InputError, WeightsError

SHARED_WEIGHTS = Path(__file__).parents[4] / "shared" / "weights" / "tf_efficientnet_lite0.safetensors"


def test_a_pth_in_torchvision_naming_loads_strictly_but_for_the_head(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    donor = resnet18(weights=None)
    torch.save(donor.state_dict(), tmp_path / "resnet18.pth")
    made = load_backbone("resnet18", str(tmp_path / "resnet18.pth"), 3).model.state_dict()
    expected = donor.state_dict()
    assert set(made) == set(expected)
    assert all(torch.equal(made[key], expected[key]) for key in expected if not key.startswith("fc."))
    assert made["fc.weight"].shape == (3, 512)


def test_a_safetensors_file_of_another_head_size_loads(tmp_path: Path) -> None:
    donor = timm.create_model("resnet18", num_classes=7)
    save_file(donor.state_dict(), tmp_path / "seven.safetensors")
    made = load_backbone("resnet18", str(tmp_path / "seven.safetensors"), 2).model
    assert torch.equal(made.state_dict()["layer4.1.conv2.weight"], donor.state_dict()["layer4.1.conv2.weight"])


def test_weights_of_another_network_are_refused_with_the_keys_that_do_not_fit(tmp_path: Path) -> None:
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "r18.safetensors")
    with pytest.raises(WeightsError, match=r"does not fit resnet50: .*missing .*of another shape"):
        load_backbone("resnet50", str(tmp_path / "r18.safetensors"), 2)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    victim = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (victim,))  # type: ignore[return-value]

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(WeightsError, match="nothing in it was run"):
        load_backbone("resnet18", str(tmp_path / "evil.pth"), 2)
    assert not victim.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\x00" * 100, "not a whole safetensors file"),
    ],
)
def test_a_file_that_is_no_weights_file_is_named_for_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        load_backbone("resnet18", str(tmp_path / "w.safetensors"), 2)


def test_nan_in_weights_is_refused(tmp_path: Path) -> None:
    state = timm.create_model("resnet18").state_dict()
    state["layer1.0.conv1.weight"] = torch.full_like(state["layer1.0.conv1.weight"], float("nan"))
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match=r"not finite.*layer1\.0\.conv1\.weight"):
        load_backbone("resnet18", str(tmp_path / "nan.safetensors"), 2)


def test_an_unknown_model_is_answered_with_near_names() -> None:
    with pytest.raises(InputError, match="resnet50"):
        load_backbone("resnet5O", "none", 2)


def test_the_embedded_weights_fill_every_key_of_lite0() -> None:
    weights = read_embedded_weights("tf_efficientnet_lite0")
    expected = timm.create_model("tf_efficientnet_lite0").state_dict()
    assert {name: tensor.shape for name, tensor in weights.items()} == {
        name: tensor.shape for name, tensor in expected.items()
    }


@pytest.mark.skipif(not SHARED_WEIGHTS.exists(), reason="shared/weights is not on this machine")
def test_the_embedded_weights_are_timms_own() -> None:
    ours, theirs = read_embedded_weights("tf_efficientnet_lite0"), load_file(SHARED_WEIGHTS)
    assert set(ours) == set(theirs)
    network = timm.create_model("tf_efficientnet_lite0").eval()
    image = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    logits = []
    for weights in (ours, theirs):
        network.load_state_dict(weights)
        logits.append(network(image))
    assert torch.allclose(*logits, rtol=1e-4, atol=1e-4)


def test_loading_leaves_the_global_random_state_alone_and_depends_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again = (load_backbone("resnet18", "none", 2, seed=3).model.state_dict() for _ in range(2))
    other = load_backbone("resnet18", "none", 2, seed=4).model.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first["fc.weight"], again["fc.weight"])
    assert not torch.equal(first["fc.weight"], other["fc.weight"])


@pytest.mark.parametrize(("name", "parameters"), [("resnet18", 11_689_512), ("resnet50", 25_557_032)])
def test_parameter_counts_are_those_of_the_paper_networks(name: str, parameters: int) -> None:
    model = load_backbone(name, "none", 1000).model
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("size", [None, 96, 256])
@pytest.mark.parametrize(
    "name",
    [
        *(
            "resnet18",
            "resnet18.fb_swsl_ig1b_ft_in1k",
            "tf_efficientnet_lite0",
            "mobilenetv3_small_050",
            "convnext_atto",
        ),
        *(
            "vit_tiny_patch16_224",
            "vit_base_patch14_dinov2",
            "swin_tiny_patch4_window7_224",
            "inception_v3",
            "tresnet_m",
        ),
    ],
)
def test_the_preprocessing_is_known_before_the_backbone_is_built(name: str, size: int | None) -> None:
    with torch.device("meta"):
        built = load_backbone(name, "none", 3, image_size=size)
    assert expected_preprocessing(name, size) == built.preprocessing


def test_unknown_names_and_tags_are_told_before_the_backbone_is_built() -> None:
    with pytest.raises(InputError, match="Unknown model 'resnet5O'"):
        expected_preprocessing("resnet5O", None)
    with pytest.raises(InputError, match="Unknown model 'resnet50.none'.*tag"):
        expected_preprocessing("resnet50.none", None)


def test_weights_that_are_not_there_are_told_at_once(tmp_path: Path) -> None:
    save_file({"a": torch.ones(4)}, tmp_path / "whole.safetensors")
    (tmp_path / "half.safetensors").write_bytes((tmp_path / "whole.safetensors").read_bytes()[:-3])
    for weights in ("none", "pretrained", str(tmp_path / "whole.safetensors")):
        check_weights("resnet18", weights)
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        check_weights("resnet18", str(tmp_path / "half.safetensors"))
    with pytest.raises(WeightsError, match="does not exist"):
        check_weights("resnet18", str(tmp_path / "absent.pth"))
    with pytest.raises(InputError, match="Embedded weights exist for"):
        check_weights("resnet18", "embedded")
