"""`finetune run --weights FILE` end to end: the share that loaded is told, kept, and guarded."""

import json
from pathlib import Path

import pytest
import timm
import torch

from finetune.cli.main import main
from recipes import load_recipe

SENTENCE = (
    "95 of 100 tensors of resnet18 (95 %) loaded, the head is new; "
    "5 missing (layer4.1.conv2.weight, layer4.1.bn2.weight, layer4.1.bn2.bias, …)."
)
KEY_MAP = {"my.extractor.": ""}
SHORT = ("--model", "resnet18", "--image-size", "32", "--epochs", "1", "--workers", "0")


@pytest.fixture
def partial_file(tmp_path: Path) -> Path:
    """ResNet-18 without its last convolution and norm, below names that no rule knows."""
    state = timm.create_model("resnet18", num_classes=1000).state_dict()
    kept = {key: value for key, value in state.items() if not key.startswith(("layer4.1.conv2", "layer4.1.bn2"))}
    file = tmp_path / "part [old].pth"
    torch.save({"state_dict": {f"my.extractor.{key}": value for key, value in kept.items()}}, file)
    return file


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


@pytest.mark.usefixtures("store")
def test_a_run_tells_what_share_of_a_weights_file_loaded(
    digits_folder: Path, partial_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["run", str(digits_folder), "--weights", str(partial_file), *SHORT, "--out", str(tmp_path / "run")]
    assert call(*run) == 2
    assert """--set model.key_map='{"my.extractor.": ""}'""" in capsys.readouterr().err
    assert call(*run, "--set", f"model.key_map={json.dumps(KEY_MAP)}") == 0
    assert f"part [old].pth: {SENTENCE}\n" in capsys.readouterr().out
    kept = json.loads((tmp_path / "run" / "environment.json").read_text())["weights"]
    assert (kept["loaded"], kept["expected"], len(kept["missing"])) == (95, 100, 5)
    assert "layer4.1.bn2.running_var" in kept["missing"]
    assert kept["head"] == ["fc.weight", "fc.bias"]
    assert load_recipe(tmp_path / "run" / "recipe.yaml").model.key_map == KEY_MAP
    page = (tmp_path / "run" / "report.html").read_text()
    assert "weights: missing" in page
    assert "layer4.1.bn2.running_var" not in page


def test_a_dry_run_tells_it_too(
    digits_folder: Path, partial_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["run", str(digits_folder), "--weights", str(partial_file), *SHORT, "--out", str(tmp_path / "run")]
    assert call(*run, "--set", f"model.key_map={json.dumps(KEY_MAP)}", "--dry-run") == 0
    assert f"part [old].pth: {SENTENCE}\n" in capsys.readouterr().out


def test_a_key_map_that_begins_no_key_is_one_line_and_exit_code_2(
    digits_folder: Path, partial_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["run", str(digits_folder), "--weights", str(partial_file), *SHORT, "--out", str(tmp_path / "run")]
    assert call(*run, "--set", 'model.key_map={"my.extracter.": ""}') == 2
    error = capsys.readouterr().err
    assert "'my.extracter.' begins no key of part [old].pth; nearest: 'my.extractor.'" in error
    assert [line.partition(":")[0] for line in error.splitlines()] == ["reading images", "WeightsError"]
