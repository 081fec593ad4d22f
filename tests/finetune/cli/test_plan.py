"""`finetune plan`: the table, the sentences below it, the JSON, and how soon they are there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.cli.main import main
from finetune.cli.plan_display import describe_cut, describe_training, format_share

STAGES = ["stem", "stage1", "stage2", "stage3", "stage4", "head"]
TINY = ["--weights", "none", "--image-size", "32", "--epochs", "2", "--workers", "0"]


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def test_the_json_keeps_its_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", "resnet50", "--freeze", "last-two-stages", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["model"], plan["policy"], plan["input"]) == ("resnet50", "last-two-stages", [3, 224, 224])
    assert [row["name"] for row in plan["stages"]] == STAGES
    for row in plan["stages"]:
        assert {"name", "modules", "parameters", "buffers", "macs", "frozen", "frozen_parameters"} < set(row)
    assert [row["frozen"] for row in plan["stages"]] == [True] * 3 + [False] * 3
    [cut] = plan["cut"]
    assert (cut["name"], cut["module"], cut["shape"], cut["bytes"]) == (
        "layer2_3_act3", "layer2", [512, 28, 28], 802_816
    )  # fmt: skip
    assert plan["parameters"] == 25_557_032
    assert "forecast" not in plan


def test_the_table_says_what_is_frozen_what_learns_and_what_crosses(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", "resnet18", "--classes", "5") == 0
    printed = capsys.readouterr().out
    for stage in STAGES:
        assert f"\n {stage}" in printed
    assert "conv1 … bn1" in printed
    assert "Trained: stage4, head; 8,396,293 of 11,179,077 parameters (75.1 %)." in printed
    assert "The cut runs after the output of layer3 (stage3): 256 x 14 x 14, 100,352 bytes a view in fp16." in printed
    assert "┃" not in printed  # no terminal, no lines
    assert "layer4.1.bn2.weight" not in printed


def test_verbose_names_what_learns(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", "resnet18", "--freeze", "norm-only", "--verbose") == 0
    printed = capsys.readouterr().out
    assert "part of stage1" in printed
    assert "layer4.1.bn2.weight" in printed
    assert "layer4.1.conv2.weight" not in printed


def test_verbose_tells_blocks_shapes_and_sizes_of_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", "resnet50", "--verbose", "--set", "model.output_stride=16") == 0
    printed = capsys.readouterr().out
    assert "resnet50 at 224 x 224, output stride 16, policy first-three" in printed
    told = [" ".join(line.split()) for line in printed.splitlines()]
    assert "stage3 Bottleneck x 6 1024 x 14 x 14 7,098,368 1,464,336,384" in told
    assert any(line.startswith("stage4 Bottleneck x 3 2048 x 14 x 14 14,964,736") for line in told)


def test_sentences_for_a_cut_inside_a_module_several_tensors_and_no_trunk() -> None:
    row = {"module": "blocks.3", "is_output": False, "stage": "stage2", "shape": [49, 256], "bytes": 25_088}
    cut = {"uncut_reason": None, "cut": [row, row | {"module": "neck", "is_output": True, "stage": None}]}
    assert describe_cut(cut) == [
        "The cut runs after a value made inside blocks.3 (stage2): 49 x 256, 25,088 bytes a view in fp16.",
        "The cut runs after the output of neck: 49 x 256, 25,088 bytes a view in fp16.",
        "2 tensors cross, 50,176 bytes a view in fp16.",
    ]
    whole = {"uncut_reason": "the policy freezes nothing", "cut": []}
    assert describe_cut(whole) == ["No trunk: the policy freezes nothing. Every epoch runs the whole network."]


def test_a_stage_that_learns_in_part_is_called_so() -> None:
    stages = [{"name": "stage1", "frozen_parameters": 5}, {"name": "head", "frozen_parameters": 0}]
    plan = {"stages": stages, "trained": ["stage1", "head"], "trainable_parameters": 1, "parameters": 3000}
    assert describe_training(plan) == "Trained: part of stage1, head; 1 of 3,000 parameters (0.1 %)."


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "-"), (0, 9, "0 %"), (9, 9, "100 %"), (1, 10**6, "0.1 %"), (10**6 - 1, 10**6, "99.9 %"), (1, 3, "33.3 %")],
)
def test_a_share_is_all_or_nothing_only_where_it_is_exactly_so(part: int, whole: int, text: str) -> None:
    assert format_share(part, whole) == text


@pytest.mark.usefixtures("store")
def test_with_data_the_json_holds_a_forecast(digits_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", "resnet18", "--data", str(digits_folder), "--json", *TINY) == 0
    plan = json.loads(capsys.readouterr().out)
    forecast = plan["forecast"]
    assert {"decode", "trunk", "tail", "total"} < set(forecast["seconds"])
    assert sum(forecast["images"].values()) == 48
    assert plan["stages"][-1]["parameters"] == 3 * (512 + 1)
    [cut] = plan["cut"]
    train = next(row for row in forecast["store"]["parts"] if row["split"] == "train")
    assert train["bytes"] == train["images"] * train["views"] * cut["bytes"]


@pytest.mark.usefixtures("store")
def test_with_data_the_forecast_stands_below_the_table(digits_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", "resnet18", "--data", str(digits_folder), *TINY) == 0
    printed = capsys.readouterr().out
    for part in ("decode", "trunk", "tail", "total", "Feature store:", "Peak memory: about", "Early stopping"):
        assert part in printed
    assert "Trained: stage4, head" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "{root}/absent"], "absent"),
        (["--data", "{root}", "--classes", "7"], "--classes"),
        (["--freeze", "layer9.*"], "layer9"),
        (["--set", "train.epoch=3"], "did you mean 'epochs'?"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert call("plan", "resnet18", *(argument.format(root=tmp_path) for argument in arguments)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_the_table_is_there_in_less_time_than_importing_torch_and_timm_takes() -> None:
    """Two seconds beyond that import are wanted; a ratio holds on slow machines too."""
    script = (
        "import sys, time\nstart = time.perf_counter()\nimport torch, timm\nimported = time.perf_counter()\n"
        "from finetune.cli.main import main\n"
        "try: main(['plan', 'resnet50', '--freeze', 'last-two-stages'])\nexcept SystemExit as stop: code = stop.code\n"
        "end = time.perf_counter()\n"
        "heavy = {'sklearn', 'scipy', 'matplotlib', 'albumentations'} & set(sys.modules)\n"
        "print((end - imported) / (imported - start), code, sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    ratio, code, heavy = done.stdout.splitlines()[-1].split(" ", 2)
    assert (code, heavy) == ("0", "[]")
    assert float(ratio) < 1.0
