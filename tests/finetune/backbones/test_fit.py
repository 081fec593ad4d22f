"""Weights files from elsewhere: wrapped, prefixed, renumbered, partly filled, of another network."""

import json
from argparse import Namespace
from functools import cache
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from finetune.backbones import Backbone, load_backbone
from finetune.backbones.fit import WeightsFit
from finetune.errors import WeightsError

Table = dict[str, Tensor]


@cache
def donor(name: str) -> Table:
    """A state dict of `name` with values of its own everywhere, a head of 1,000 classes included."""
    generator = torch.Generator().manual_seed(7)
    state = timm.create_model(name, num_classes=1000).state_dict()
    return {key: torch.rand(value.shape, generator=generator) if value.is_floating_point() else value + 5
            for key, value in state.items()}  # fmt: skip


def prefixed(table: Table, prefix: str) -> Table:
    return {f"{prefix}{key}": tensor for key, tensor in table.items()}


def load(content: object, folder: Path, name: str = "resnet18", **options: object) -> Backbone:
    torch.save(content, folder / "w.pth")
    return load_backbone(name, str(folder / "w.pth"), 3, **options)  # type: ignore[arg-type]


def assert_holds(made: Backbone, table: Table, but: tuple[str, ...] = ("fc.", "head.")) -> None:
    state = made.model.state_dict()
    different = [key for key in state if not key.startswith(but) and not torch.equal(state[key], table[key])]
    assert different == []


@pytest.mark.parametrize(
    "path",
    [
        *(["state_dict"], ["model"], ["teacher"], ["model_state"], ["model_state_dict"], ["network"], ["student"]),
        *(["ema"], ["state_dict_ema"], ["model_ema"], ["model", "state_dict"], ["ema", "module"]),
    ],
    ids="/".join,
)
def test_a_table_is_found_below_its_containers(tmp_path: Path, path: list[str]) -> None:
    content: object = donor("resnet18")
    for key in reversed(path):
        content = {"epoch": 7, "optimizer": {"state": {}}, "args": Namespace(lr=0.1), key: content}
    made = load(content, tmp_path)
    assert_holds(made, donor("resnet18"))
    assert made.fit is not None
    assert made.fit.sentence == "w.pth: 100 of 100 tensors of resnet18 (100 %) loaded, the head is new."


@pytest.mark.parametrize(("averaged", "last"), [("state_dict_ema", "state_dict"), ("teacher", "student")])
def test_averaged_weights_go_before_those_of_the_last_step(tmp_path: Path, averaged: str, last: str) -> None:
    zeros = {key: torch.zeros_like(value) for key, value in donor("resnet18").items()}
    assert_holds(load({last: zeros, averaged: donor("resnet18")}, tmp_path), donor("resnet18"))


def test_a_table_three_containers_down_is_not_looked_for(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no table of tensors"):
        load({"model": {"model": {"model": donor("resnet18")}}}, tmp_path)


@pytest.mark.parametrize(
    "prefix",
    [
        *("module.", "backbone.", "encoder.", "model.", "_orig_mod.", "encoder_q."),
        *("module.backbone.", "module.encoder_q.", "_orig_mod.module.model.backbone."),
    ],
)
def test_prefixes_of_wrappers_are_left_out(tmp_path: Path, prefix: str) -> None:
    save_file(prefixed(donor("resnet18"), prefix), tmp_path / "w.safetensors")
    made = load_backbone("resnet18", str(tmp_path / "w.safetensors"), 3)
    assert_holds(made, donor("resnet18"))
    assert made.fit is not None
    assert made.fit.prefix == prefix


def test_of_two_encoders_the_query_is_taken_and_the_other_is_told(tmp_path: Path) -> None:
    query, key = prefixed(donor("resnet18"), "module.encoder_q."), prefixed(donor("resnet18"), "module.encoder_k.")
    made = load({"state_dict": {name: value + 1 for name, value in key.items()} | query}, tmp_path)
    assert_holds(made, donor("resnet18"))
    assert made.fit is not None
    assert len(made.fit.unknown) == len(key)
    assert "122 unknown (module.encoder_k.conv1.weight, " in made.fit.sentence


def test_of_two_encoders_that_load_as_much_the_plain_one_is_taken(tmp_path: Path) -> None:
    mean = {name: value + 1 for name, value in prefixed(donor("resnet18"), "module.momentum_encoder.").items()}
    assert_holds(load(mean | prefixed(donor("resnet18"), "module.base_encoder."), tmp_path), donor("resnet18"))


def test_a_hundred_percent_are_said_of_all_alone() -> None:
    fit = WeightsFit("w.pth", "resnet18", "", 2000, 1999, ("conv1.weight",), (), (), (), (), ())
    assert "(99.9 %) loaded" in fit.sentence


def test_a_dino_teacher_fills_a_vision_transformer_and_its_own_head_is_told(tmp_path: Path) -> None:
    body = {key: value for key, value in donor("vit_tiny_patch16_224").items() if not key.startswith("head.")}
    head = {"head.mlp.0.weight": torch.zeros(4, 192), "head.last_layer.weight_v": torch.zeros(8, 4)}
    student = {key: torch.zeros_like(value) for key, value in body.items()}
    content = {
        "student": prefixed(student, "module.backbone."),
        "teacher": prefixed(body, "backbone.") | head,
        "args": Namespace(arch="vit_tiny"),
    }
    made = load(content, tmp_path, "vit_tiny_patch16_224")
    assert_holds(made, body)
    assert made.fit is not None
    assert made.fit.unknown == tuple(head)
    assert made.fit.sentence.startswith("w.pth: 150 of 150 tensors of vit_tiny_patch16_224 (100 %) loaded")


def test_timms_own_conversion_stays_in_the_path(tmp_path: Path) -> None:
    """A vision transformer of another grid is resampled, ConvNeXt's original names are translated."""
    made = load(prefixed(donor("vit_tiny_patch16_224"), "module."), tmp_path, "vit_tiny_patch16_224", image_size=96)
    assert made.model.state_dict()["pos_embed"].shape == (1, 1 + 6 * 6, 192)
    assert made.fit is not None
    assert made.fit.loaded == made.fit.expected
    original = {}
    for key, value in donor("convnext_atto").items():
        stage, _, rest = key.removeprefix("stages.").partition(".")
        renamed = rest.replace("blocks.", "").replace("conv_dw", "dwconv").replace("mlp.fc1", "pwconv1")
        renamed = renamed.replace("mlp.fc2", "pwconv2")
        if key.startswith("stem."):
            original[key.replace("stem.", "downsample_layers.0.")] = value
        elif key.startswith("head."):
            original[key.replace("head.fc.", "head.").replace("head.norm.", "norm.")] = value
        elif rest.startswith("downsample."):
            original[f"downsample_layers.{stage}.{rest.removeprefix('downsample.')}"] = value
        else:
            original[f"stages.{stage}.{renamed}"] = value
    assert set(original) != set(donor("convnext_atto"))
    made = load({"model": original}, tmp_path, "convnext_atto")
    assert_holds(made, donor("convnext_atto"), but=("head.fc.",))


def test_numbers_of_a_sequential_are_the_networks_children(tmp_path: Path) -> None:
    """RadImageNet's ResNet50: `backbone.0.weight`, `backbone.4.0.conv1.weight`, without the head."""
    model = timm.create_model("resnet50", num_classes=1000)
    sequential = nn.Sequential(*list(model.children())[:-1])
    wrapped = prefixed(sequential.state_dict(), "backbone.")
    assert "backbone.0.weight" in wrapped
    assert "backbone.4.0.conv1.weight" in wrapped
    made = load(wrapped, tmp_path, "resnet50")
    assert_holds(made, model.state_dict())
    assert made.fit is not None
    assert made.fit.sentence == "w.pth: 265 of 265 tensors of resnet50 (100 %) loaded, the head is new."


def test_numbers_are_not_guessed_where_one_shape_does_not_fit(tmp_path: Path) -> None:
    sequential = nn.Sequential(*list(timm.create_model("resnet18").children())[:-1]).state_dict()
    sequential["4.0.conv1.weight"] = torch.zeros(64, 64, 1, 1)
    with pytest.raises(WeightsError, match=r"0 of 100 tensors of resnet18 \(0 %\) loaded.*100 missing"):
        load(sequential, tmp_path)


def test_a_key_map_goes_before_the_numbers_of_a_sequential(tmp_path: Path) -> None:
    table = donor("resnet18")
    numbers = {"conv1.": "backbone.4.", "bn1.": "backbone.1.", "layer1.": "backbone.0."}  # conv1 and layer1 changed
    file = {}
    for key, value in table.items():
        old = next((prefix for prefix in numbers if key.startswith(prefix)), None)
        file[f"{numbers[old]}{key.removeprefix(old)}" if old else f"backbone.{key}"] = value
    with pytest.raises(WeightsError, match=r"does not fit resnet18"):
        load(file, tmp_path)
    key_map = {new: old for old, new in numbers.items()}
    made = load(file, tmp_path, key_map=key_map)
    assert_holds(made, table)


def test_a_key_map_changes_the_start_of_keys_the_longest_first(tmp_path: Path) -> None:
    file = {f"my.{key.replace('layer4.', 'last.')}": value for key, value in donor("resnet18").items()}
    made = load(file, tmp_path, key_map={"my.": "", "my.last.": "layer4."})
    assert_holds(made, donor("resnet18"))


def test_a_key_map_that_begins_no_key_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"'trnuk\.' begins no key of w\.pth; nearest: 'trunk\.'"):
        load(prefixed(donor("resnet18"), "trunk."), tmp_path, key_map={"trnuk.": ""})


def test_a_key_map_that_makes_two_keys_one_is_refused(tmp_path: Path) -> None:
    file = prefixed(donor("resnet18"), "a.") | prefixed(donor("resnet18"), "b.")
    with pytest.raises(WeightsError, match=r"two keys of w\.pth one, 'conv1\.weight'"):
        load(file, tmp_path, key_map={"a.": "", "b.": ""})


def test_a_key_map_that_makes_a_key_one_that_stands_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"two keys of w\.pth one, 'conv1\.weight'"):
        load(donor("resnet18") | {"stem.weight": torch.zeros(64, 3, 7, 7)}, tmp_path, key_map={"stem.": "conv1."})


def test_a_key_that_a_key_map_displaced_keeps_its_name_and_is_told(tmp_path: Path) -> None:
    file = prefixed(donor("resnet18"), "module.") | {"stem.weight": torch.ones(64, 3, 7, 7)}
    made = load(file, tmp_path, key_map={"stem.": "conv1."})
    assert torch.equal(made.model.state_dict()["conv1.weight"], torch.ones(64, 3, 7, 7))
    assert made.fit is not None
    assert made.fit.unknown == ("module.conv1.weight",)
    assert made.fit.loaded == made.fit.expected


def test_ninety_five_percent_are_taken_and_told(tmp_path: Path) -> None:
    absent = ("layer4.1.bn2.weight", "layer4.1.bn2.bias", "layer4.1.bn2.running_mean", "layer4.1.bn2.running_var")
    file = {key: value for key, value in donor("resnet18").items() if key not in absent}
    file |= {"layer4.1.conv2.weight": torch.zeros(1), "projector.weight": torch.zeros(2)}
    made = load(file, tmp_path)
    assert made.fit is not None
    assert made.fit.sentence == (
        "w.pth: 95 of 100 tensors of resnet18 (95 %) loaded, the head is new; "
        "4 missing (layer4.1.bn2.weight, layer4.1.bn2.bias, layer4.1.bn2.running_mean, …), "
        "1 of another shape (layer4.1.conv2.weight), 1 unknown (projector.weight)."
    )
    assert_holds(made, donor("resnet18"), but=("fc.", "layer4.1.bn2", "layer4.1.conv2"))
    record = made.fit.record()
    assert json.loads(json.dumps(record)) == record
    assert record["missing"] == list(absent)
    assert record["head"] == ["fc.weight", "fc.bias"]


def test_eighty_percent_are_refused_with_what_to_do(tmp_path: Path) -> None:
    body = [key for key, value in donor("resnet18").items() if value.is_floating_point() and not key.startswith("fc.")]
    renamed = {key: f"odd.{key}" for key in body[::5]}
    file = {renamed.get(key, key): value for key, value in donor("resnet18").items()}
    with pytest.raises(WeightsError) as error:
        load(file, tmp_path)
    assert str(error.value) == (
        "w.pth does not fit resnet18: 80 of 100 tensors of resnet18 (80 %) loaded, at least 90 % needed; "
        "20 missing (conv1.weight, layer1.0.conv1.weight, layer1.0.conv2.weight, …), "
        "20 unknown (odd.conv1.weight, odd.layer1.0.conv1.weight, odd.layer1.0.conv2.weight, …). "
        'If the file names the same tensors otherwise, say how: --set model.key_map=\'{"old.": "new."}\'.'
    )


def test_a_refusal_names_the_key_map_that_would_help(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"""--set model\.key_map='\{"my\.extractor\.": ""\}'"""):
        load(prefixed(donor("resnet18"), "my.extractor."), tmp_path)
    made = load(prefixed(donor("resnet18"), "my.extractor."), tmp_path, key_map={"my.extractor.": ""})
    assert_holds(made, donor("resnet18"))


@pytest.mark.parametrize(("file", "model"), [("resnet34", "resnet18"), ("resnet18", "resnet34")])
def test_the_weights_of_a_deeper_or_shallower_network_are_refused(tmp_path: Path, file: str, model: str) -> None:
    """Every tensor of ResNet-18 stands in ResNet-34, under the same name and with the same shape."""
    with pytest.raises(WeightsError, match=rf"w\.pth does not fit {model}"):
        load(donor(file), tmp_path, model)


def test_a_head_of_the_right_size_is_new_all_the_same(tmp_path: Path) -> None:
    state = timm.create_model("resnet18", num_classes=3).state_dict()
    made = load(state, tmp_path)
    assert not torch.equal(made.model.state_dict()["fc.weight"], state["fc.weight"])
    assert made.fit is not None
    assert made.fit.head == ("fc.weight", "fc.bias")


def test_what_timms_conversion_leaves_out_is_told(tmp_path: Path) -> None:
    """DINOv2 files bring a mask token that timm drops."""
    file = {**donor("vit_tiny_patch16_224"), "mask_token": torch.zeros(1, 192)}
    made = load(file, tmp_path, "vit_tiny_patch16_224")
    assert made.fit is not None
    assert made.fit.converted == ("mask_token",)
    assert made.fit.unknown == ()


def test_integer_buffers_may_be_absent(tmp_path: Path) -> None:
    """`num_batches_tracked` came with PyTorch 0.4.1; older files have none."""
    made = load({key: value for key, value in donor("resnet18").items() if value.is_floating_point()}, tmp_path)
    assert made.fit is not None
    assert made.fit.missing == ()
    assert made.fit.sentence.endswith("(100 %) loaded, the head is new.")


def test_a_refused_file_leaves_timm_as_it_was(tmp_path: Path) -> None:
    from timm.models import _builder

    loading = _builder.load_pretrained
    with pytest.raises(WeightsError):
        load({"conv1.weight": torch.zeros(1)}, tmp_path)
    assert _builder.load_pretrained is loading
