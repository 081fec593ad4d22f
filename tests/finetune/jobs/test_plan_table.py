"""The freeze table: stages and their modules, shares, and what crosses the cut."""

from pathlib import Path

import pytest

from finetune.backbones import STAGES
from finetune.jobs.macs import count_macs
from finetune.jobs.plan_table import describe_plan, modules_by_stage, plan_without_weights
from recipes import load_recipe


def table_of(model: str, policy: str = "first-three", **settings: object) -> dict:
    recipe = load_recipe(None, {"model.name": model, "freeze.policy": policy, **settings})
    return describe_plan(plan_without_weights(recipe, 1000), recipe)


@pytest.mark.parametrize(("model", "parameters"), [("resnet18", 11_689_512), ("resnet50", 25_557_032)])
def test_every_stage_of_a_residual_network_is_named_with_its_modules(model: str, parameters: int) -> None:
    table = table_of(model, "last-two-stages")
    assert [row["name"] for row in table["stages"]] == list(STAGES)
    assert sum(row["parameters"] for row in table["stages"]) == table["parameters"] == parameters
    modules = [["conv1", "bn1"], ["layer1"], ["layer2"], ["layer3"], ["layer4"], ["fc"]]
    assert [row["modules"] for row in table["stages"]] == modules
    assert table["trained"] == ["stage3", "stage4", "head"]


@pytest.mark.parametrize("model", ["tf_efficientnet_lite0", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_the_modules_of_the_stages_hold_every_tensor_once(model: str) -> None:
    backbone = plan_without_weights(load_recipe(None, {"model.name": model}), 10).backbone
    named = [module for modules in modules_by_stage(backbone.model, backbone.stages).values() for module in modules]
    for tensor in backbone.model.state_dict():
        owners = [module for module in named if tensor.startswith(f"{module}.")]
        assert len(owners) == (1 if "." in tensor else 0), tensor


def test_the_frozen_share_counts_parameters() -> None:
    rows = {row["name"]: row for row in table_of("resnet18", "stem,layer2.0.*")["stages"]}
    assert rows["stem"]["frozen_share"] == 1.0
    assert rows["stem"]["frozen"] is True
    assert rows["stage3"]["frozen_share"] == 0.0
    first_block = 64 * 128 * 9 + 128 * 128 * 9 + 64 * 128 + 3 * 2 * 128
    assert rows["stage2"]["frozen_parameters"] == first_block
    assert rows["stage2"]["frozen_share"] == first_block / rows["stage2"]["parameters"]
    assert rows["stage2"]["frozen"] is False


def test_a_cut_between_modules_is_the_output_of_the_outermost_one() -> None:
    [row] = table_of("resnet50", "last-two-stages")["cut"]
    assert (row["module"], row["is_output"], row["stage"]) == ("layer2", True, "stage2")
    assert (row["shape"], row["bytes"]) == ([512, 28, 28], 2 * 512 * 28 * 28)


def test_a_cut_inside_a_module_says_so() -> None:
    [row] = table_of("resnet18", "stem,stage1,layer2.0.conv1.*")["cut"][1:]
    assert (row["name"], row["module"], row["is_output"]) == ("layer2_0_conv1", "layer2.0.conv1", True)
    [row] = table_of("convnext_atto", "first-three")["cut"]
    assert (row["module"], row["is_output"]) == ("stages.3.downsample.0", False)


def test_a_value_of_several_rows_an_image_and_a_module_that_is_called_again_are_placed() -> None:
    rows = table_of("tnt_s_patch16_224", "first-three")["cut"]
    assert [(row["module"], row["stage"]) for row in rows][:2] == [("blocks.8", "stage3"), ("blocks.9", "stage4")]
    rows = table_of("hrnet_w18_small", "first-three")["cut"]
    assert [(row["module"], row["is_output"]) for row in rows] == [("stage3.0.fuse_act", True)] * 3


def test_every_tensor_that_crosses_has_a_row_with_its_own_name() -> None:
    rows = table_of("levit_128s", "last-two-stages")["cut"]
    assert [(row["name"], row["shape"]) for row in rows] == [("add_16", [49, 256]), ("reshape_7", [16, 256])]


def test_without_a_trunk_there_is_a_reason_and_no_cut() -> None:
    for table in (table_of("resnet18", "full"), table_of("resnet18", **{"cache.mode": "whole"})):
        assert table["cut"] == []
        assert table["uncut_reason"]


def test_multiply_adds_are_those_of_the_paper() -> None:
    backbone = plan_without_weights(load_recipe(None, {"model.name": "resnet18"}), 1000).backbone
    macs = count_macs(backbone)
    assert macs["stem"] == 64 * 112 * 112 * 3 * 49
    assert macs["head"] == 512 * 1000
    assert 1.80e9 < sum(macs.values()) < 1.83e9  # He et al. 2015, table 1


def contents_of(model: str, **settings: object) -> dict[str, tuple[str, list[int] | None]]:
    """Blocks and output of each stage, in words."""
    return {
        row["name"]: (", ".join(f"{block['repeats']} {block['type']}" for block in row["blocks"]), row["output"])
        for row in table_of(model, **settings)["stages"]
    }


@pytest.mark.parametrize(
    ("model", "block", "repeats", "wider"),
    [("resnet18", "BasicBlock", "2222", 1), ("resnet50", "Bottleneck", "3463", 4)],
)
def test_a_residual_network_has_the_blocks_and_maps_of_the_papers_table(
    model: str, block: str, repeats: str, wider: int
) -> None:
    found = contents_of(model)
    assert found["stem"] == ("1 Conv2d, 1 BatchNorm2d", [64, 56, 56])
    for stage, (count, width, side) in enumerate(zip(repeats, (64, 128, 256, 512), (56, 28, 14, 7), strict=True), 1):
        assert found[f"stage{stage}"] == (f"{count} {block}", [wider * width, side, side])
    assert found["head"] == ("1 Linear", [1000])


def test_blocks_are_found_in_the_stages_of_other_families() -> None:
    assert contents_of("convnext_atto")["stage3"] == ("1 LayerNorm2d, 1 Conv2d, 6 ConvNeXtBlock", [160, 14, 14])
    assert contents_of("tf_efficientnet_lite0")["stage1"] == (
        "1 DepthwiseSeparableConv, 2 InvertedResidual", [24, 56, 56]
    )  # fmt: skip
    assert contents_of("vit_tiny_patch16_224")["stage2"] == ("3 Block", [197, 192])
    assert contents_of("regnetx_002")["stage4"] == ("7 Bottleneck", [368, 7, 7])
    assert contents_of("densenet121")["stage1"][0].startswith("6 DenseLayer")
    assert contents_of("swin_tiny_patch4_window7_224")["stage3"][0].endswith("6 SwinTransformerBlock")


def test_the_head_on_all_stages_leaves_the_body_as_it_is() -> None:
    plain, other = contents_of("resnet18"), contents_of("resnet18", **{"head.kind": "multi-stage"})
    assert other.pop("head") == ("1 MultiStageHead", [1000])
    assert other == {stage: found for stage, found in plain.items() if stage != "head"}


def test_strides_change_the_maps_of_the_last_stages_or_of_all() -> None:
    small = {"model.image_size": 32}
    sides = {
        word: [found[f"stage{stage}"][1][-1] for stage in (1, 2, 3, 4)]  # type: ignore[index]
        for word, found in (
            ("plain", contents_of("resnet18", **small)),
            ("eight", contents_of("resnet18", **small, **{"model.output_stride": 8})),
            ("stem", contents_of("resnet18", **small, **{"model.stem": "small"})),
        )
    }
    assert sides == {"plain": [8, 4, 2, 1], "eight": [8, 4, 4, 4], "stem": [32, 16, 8, 4]}


@pytest.mark.parametrize(
    ("strides", "millions"), [({}, 37), ({"model.output_stride": 8}, 188), ({"model.stem": "small"}, 555)]
)
def test_the_page_on_small_images_tells_the_multiply_adds_that_a_plan_counts(
    strides: dict[str, object], millions: int
) -> None:
    rows = table_of("resnet18", **{"model.image_size": 32}, **strides)["stages"]
    counted = sum(row["macs"] for row in rows if row["name"] != "head")
    assert round(counted / 1e6) == millions
    assert f"| {millions} million |" in (Path(__file__).parents[3] / "docs" / "small_images.md").read_text()
