"""Training views in half precision: where, of what, and how far from float32."""

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

import finetune
from finetune.errors import InputError
from finetune.features import (
    FP32,
    check_arithmetic,
    choose_arithmetic,
    computing_in,
    fold_norms,
    scoring_arithmetic,
    widened,
    working_dtype,
)
from finetune.features import arithmetic as module
from finetune.features.arithmetic import multiplies_bf16
from recipes import Recipe, load_recipe

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("facts", "has_it"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 fsrm\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("flags\t\t: fpu avx2 avx512f\nbugs\t\t: avx512_bf16\n", False),
        ("Features\t: fp asimd bf16\n", False),
        ("", False),
    ],
)
def test_the_system_tells_whether_the_processor_multiplies_bf16(tmp_path: Path, facts: str, has_it: bool) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(facts)
    assert multiplies_bf16(file) == has_it
    assert not multiplies_bf16(tmp_path / "none")


@pytest.mark.parametrize("has_it", [True, False])
def test_auto_is_bf16_on_a_cpu_that_has_it_and_a_wish_is_a_wish(monkeypatch: pytest.MonkeyPatch, has_it: bool) -> None:
    monkeypatch.setattr(module, "multiplies_bf16", lambda: has_it)
    assert choose_arithmetic("auto", CPU) == ("bf16" if has_it else "fp32")
    assert choose_arithmetic("auto", torch.device("cuda")) == "fp32"
    for wish in ("bf16", "fp16", "fp32", "fp64"):
        assert choose_arithmetic(wish, CPU) == wish


def test_scores_are_fp32_but_where_everything_is_fp64() -> None:
    assert [scoring_arithmetic(wish) for wish in ("bf16", "fp16", "fp32", "fp64")] == ["fp32", "fp32", "fp32", "fp64"]
    assert [working_dtype(wish) for wish in ("bf16", "fp64")] == [torch.float32, torch.float64]


def test_fp64_is_refused_where_the_device_has_none() -> None:
    check_arithmetic("fp64", CPU)
    check_arithmetic("fp16", torch.device("mps"))
    with pytest.raises(InputError, match="fp64 is not possible on mps.*--device cpu"):
        check_arithmetic("fp64", torch.device("mps"))


class Told(nn.Module):
    """A dense, a depthwise and a dense convolution; notes what each is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1))
        self.given: list[torch.dtype] = []

    def forward(self, images: torch.Tensor, fails: bool = False) -> torch.Tensor:
        for layer in self.layers:
            images = layer(images)
            self.given.append(images.dtype)
        if fails:
            self.layers[1](images)
        return images


@pytest.mark.parametrize(("arithmetic", "half"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_depthwise_convolutions_leave_half_precision_where_a_step_is_taken_and_nowhere_else(
    arithmetic: str, half: torch.dtype
) -> None:
    told = Told()
    with computing_in(arithmetic, told, CPU):
        told(torch.randn(2, 3, 5, 5))
    assert told.given == [half, torch.float32, half]
    told.given.clear()
    with torch.inference_mode(), computing_in(arithmetic, told, CPU):
        told(torch.randn(2, 3, 5, 5))
    assert told.given == [half] * 3


def test_nothing_is_left_behind_even_where_the_network_fails() -> None:
    told = Told()
    with pytest.raises(RuntimeError), computing_in("bf16", told, CPU):
        told(torch.randn(2, 3, 5, 5), fails=True)
    assert not torch.is_autocast_enabled("cpu")
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in told.layers)
    told.given.clear()
    told(torch.randn(2, 3, 5, 5))
    assert set(told.given) == {torch.float32}


@pytest.mark.parametrize(("arithmetic", "tolerance"), [("bf16", 0.03), ("fp16", 0.004)])
@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0"])
def test_features_in_half_precision_are_those_in_fp32_but_for_rounding(
    name: str, arithmetic: str, tolerance: float
) -> None:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3)
    trunk, _ = finetune.freeze(model, "first-three").cut(torch.randn(2, 3, 64, 64))
    runner, images = fold_norms(trunk), torch.randn(4, 3, 64, 64)
    made = {}
    for chosen in ("fp32", arithmetic):
        with torch.inference_mode(), computing_in(chosen, runner, CPU):
            (made[chosen],) = runner(images)
    assert made["fp32"].dtype == torch.float32
    assert torch.equal(made["fp32"], runner(images)[0])
    assert widened(made[arithmetic]).dtype == torch.float32
    difference = (widened(made[arithmetic]) - made["fp32"]).norm() / made["fp32"].norm()
    assert 0 < difference < tolerance


@pytest.mark.usefixtures("store")
def test_a_run_in_bf16_repeats_to_the_byte_says_so_and_saves_float32(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = small_recipe.model_copy(update={"train": small_recipe.train.model_copy(update={"precision": "bf16"})})
    told: list[str] = []
    runs = [finetune.run(digits_folder, recipe, tmp_path / name, say=told.append).folder for name in "ab"]
    for file in ("predictions.csv", "recipe.yaml", "report.json", "model/model.safetensors"):
        assert (runs[0] / file).read_bytes() == (runs[1] / file).read_bytes()
    assert "Training views are computed in bf16, as the recipe says; scores in fp32." in told
    wide = recipe.model_copy(update={"train": recipe.train.model_copy(update={"precision": FP32})})
    other = finetune.run(digits_folder, wide, tmp_path / "c").folder
    assert (other / "predictions.csv").read_bytes() != (runs[0] / "predictions.csv").read_bytes()
    state = timm.create_model(f"local-dir:{runs[0] / 'model'}", pretrained=True).state_dict()
    assert {tensor.dtype for tensor in state.values() if tensor.is_floating_point()} == {torch.float32}


@pytest.mark.usefixtures("store")
def test_a_resumed_run_keeps_its_arithmetic_on_another_machine(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "multiplies_bf16", lambda: True)
    first = finetune.run(digits_folder, small_recipe, tmp_path / "run").folder
    before = (first / "predictions.csv").read_bytes()
    monkeypatch.setattr(module, "multiplies_bf16", lambda: False)
    finetune.run(digits_folder, small_recipe, tmp_path / "run", resume=True)
    assert load_recipe(str(first / "recipe.yaml")).train.precision == "bf16"
    assert (first / "predictions.csv").read_bytes() == before
