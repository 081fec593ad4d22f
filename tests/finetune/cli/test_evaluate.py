"""`finetune evaluate`: the change is printed; bad input is one line and exit code 2."""

import json
from pathlib import Path

import pytest

from finetune.cli.main import main


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def run(digits_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = ["--model", "tf_efficientnet_lite0", "--weights", "embedded", "--image-size", "64", "--epochs", "1"]
    assert call("run", str(digits_folder), *options, "--workers", "0", "--out", str(folder)) == 0
    return folder


def test_a_set_with_all_images_of_the_run_is_refused_unless_allowed(
    run: Path, digits_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call("evaluate", str(run), str(digits_folder), "--out", str(out)) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("DataError: ")
    assert "--allow seen_in_training" in told
    assert call("evaluate", str(run), str(digits_folder), "--out", str(out), "--allow", "seen_in_training") == 0
    printed = capsys.readouterr()
    assert "against the run's own test part" in printed.out
    assert "balanced accuracy" in printed.out
    assert "the numbers flatter" in printed.out
    assert "predictions: " in printed.err
    environment = json.loads((out / "environment.json").read_text())
    assert environment["run"] == str(run.resolve())
    assert call("report", str(out)) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{run}", "{data}", "--out", "{tmp}/out", "--allow", "seen_in_trainin"], "did you mean 'seen_in_training'?"),
        (["{run}", "{data}/absent", "--out", "{tmp}/out"], "absent"),
        (["{tmp}", "{data}", "--out", "{tmp}/out"], "no recipe.yaml"),
        (["{run}", "{data}", "--out", "{run}"], "no evaluation"),
        (["{run}", "{data}", "--out", "{tmp}/out", "--device", "gpu0"], "Unknown device"),
        (["{run}", "{data}"], "--out"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    run: Path,
    digits_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    given = (one.format(run=run, data=digits_folder, tmp=tmp_path) for one in arguments)
    assert call("evaluate", *given) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
