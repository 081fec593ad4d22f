"""The command line: light to start, one line for every expected error."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest

from finetune.cli.main import main


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


@pytest.mark.parametrize("arguments", [["--help"], ["recipes", "list"], ["recipes", "show", "first-three"]])
def test_light_commands_import_no_torch(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom finetune.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as stop: assert not stop.code\n"
        "heavy = {'torch', 'timm', 'pandas', 'albumentations', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def pictures(folder: Path, count: int) -> None:
    from PIL import Image

    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (32, 32), (number * 20, 0, 0)).save(folder / f"{number}.png")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "{root}/absent"], "absent"),
        (["run", "{root}/empty"], "empty"),
        (["run", "{root}/single"], "one class"),
        (["run", "{root}/hollow"], "'b'"),
        (["run", "{root}/two", "--model", "resnet5O", "--weights", "none"], "resnet50"),
        (["run", "{root}/two", "--model", "qwen3_vit_88m_enc", "--weights", "none"], "takes no classifier"),
        (["run", "{root}/two", "--freeze", "first-tree", "--weights", "none"], "first-three"),
        (["run", "{root}/two", "--set", "train.epoch=3"], "train.epoch: unknown key; did you mean 'epochs'?"),
        (["run", "{root}/two", "--model", "resnet18", "--weights", "{root}/r50.safetensors"], "does not fit resnet18"),
        (["run", "{root}/two", "--model", "resnet18", "--weights", "{root}/none.pth"], "does not exist"),
        (["plan", "resnet5O"], "resnet50"),
        (["plan", "resnet18", "--freeze", "layer9.*"], "layer9"),
        (["recipes", "show", "first-tree"], "first-three"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    (tmp_path / "empty").mkdir()
    pictures(tmp_path / "single" / "a", 8)
    pictures(tmp_path / "hollow" / "a", 8)
    (tmp_path / "hollow" / "b").mkdir()
    pictures(tmp_path / "two" / "a", 8)
    pictures(tmp_path / "two" / "b", 8)
    if "{root}/r50.safetensors" in arguments:
        import timm
        from safetensors.torch import save_file

        save_file(timm.create_model("resnet50", num_classes=2).state_dict(), tmp_path / "r50.safetensors")
    assert call(*(argument.format(root=tmp_path) for argument in arguments), *out_of(arguments, tmp_path)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def out_of(arguments: list[str], folder: Path) -> list[str]:
    return ["--out", str(folder / "out")] if arguments[0] == "run" else []


def test_plan_as_json_names_the_stages_and_the_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", "resnet18", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in plan["stages"]] == ["stem", "stage1", "stage2", "stage3", "stage4", "head"]
    assert plan["parameters"] == 11_689_512
    [cut] = plan["cut"]
    assert cut.items() >= {"name": "layer3_1_act2", "shape": [256, 14, 14], "bytes": 256 * 14 * 14 * 2}.items()
    assert 1.80e9 < sum(row["macs"] for row in plan["stages"]) < 1.83e9  # 1.8 GMACs, He et al. 2015


def test_a_dry_run_shows_findings_and_the_table_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], digits_folder: Path
) -> None:
    arguments = ["run", str(digits_folder), "--model", "resnet18", "--weights", "none", "--dry-run"]
    assert call(*arguments, "--out", str(tmp_path / "out")) == 0
    printed = capsys.readouterr().out
    assert "stage4" in printed
    assert "48 images" in printed
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("answers", [False, True], ids=["closed", "silent"])
def test_weights_that_no_network_can_bring_end_the_run_soon(tmp_path: Path, answers: bool) -> None:
    for label in ("a", "b"):
        pictures(tmp_path / "data" / label, 8)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answers:  # accepts the connection, and never says a word
            server.listen()
        environment = os.environ | {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}",
            "HF_HOME": str(tmp_path / "hub"),
            "NO_PROXY": "127.0.0.1",
        }
        started = perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "finetune", "run", str(tmp_path / "data"), "--out", str(tmp_path / "run")],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
    assert perf_counter() - started < 45
    assert done.returncode == 4, done.stderr
    assert str(tmp_path / "hub") in done.stderr.replace("\n", "")
    assert "--weights" in done.stderr
    assert "Traceback" not in done.stderr
