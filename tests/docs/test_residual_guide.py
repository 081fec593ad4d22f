"""docs/residual-guide.md: every row of the guide, every command run, every table what the rows say."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.residual_guide.__main__ import EXPERIMENTS
from benchmarks.residual_guide.page import put_table, rows_of
from finetune.cli.main import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TEXT = (DOCS / "residual-guide.md").read_text(encoding="utf-8")

SECTIONS = [
    "The residual idea",
    "ResNet18 and ResNet50",
    "Kaiming initialisation",
    "Cosine annealing",
    "Augmentation",
    "Mixed precision",
    "Data-parallel training",
    "Small images",
    "Detection",
    "Transfer for small medical sets",
    "Faults of the guide's own code",
    "Not verified here",
]
COMMANDS = [
    line
    for block in re.findall(r"```console\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
OFTEN_RUN = ("--recipe", "model.", "fp16", "fp64", "compare", "policies", "rates")
(THE_RUN,) = (line for line in COMMANDS if line.endswith("--out RUN"))
"""The run that the detector on the page is built on."""
SMALL = ["--image-size", "32", "--epochs", "1", "--set", "augment.views=1"]
"""What makes a training command of the page a matter of seconds."""


def marked(beginning: str) -> list[Any]:
    """The commands that begin so; slow are those whose like tests of the jobs run anyway."""
    lines = [line for line in COMMANDS if line.startswith(beginning) and line != THE_RUN]
    return [
        pytest.param(line, marks=pytest.mark.slow if any(one in line for one in OFTEN_RUN) else ()) for line in lines
    ]


def write_classes(folder: Path, labels: tuple[str, str], per_class: int = 12) -> None:
    """scikit-learn's zeros and eights, under two names."""
    digits = load_digits()
    for label, digit in zip(labels, (0, 8), strict=True):
        (folder / label).mkdir(parents=True)
        for number in np.flatnonzero(digits.target == digit)[:per_class]:
            scan = Image.fromarray((digits.images[number] * 255 / 16).round().astype(np.uint8))
            scan.resize((32, 32)).save(folder / label / f"{number}.png")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the words of the page stand for: a folder of 24 digits, and the medical sets made of digits."""
    folder = tmp_path_factory.mktemp("page")
    write_classes(folder / "digits", ("round", "crossed"))
    write_classes(folder / "sets" / "brain_mri_yesno", ("no", "yes"))
    write_classes(folder / "sets" / "bccd_wbc", ("EOSINOPHIL", "LYMPHOCYTE"))
    return {"DATA": str(folder / "digits"), "../shared/data": str(folder / "sets"), "FILE": "embedded"}


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the page, into which benchmarks may write."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "residual-guide.md").write_text(TEXT, encoding="utf-8")
    return folder


@pytest.fixture
def in_an_empty_folder(tmp_path: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def test_every_row_of_the_guide_has_its_section() -> None:
    assert re.findall(r"^## (.*)$", TEXT, flags=re.MULTILINE) == SECTIONS
    assert all(f"\n## {section}\n\n*The guide:*" in TEXT for section in SECTIONS[:10])


def test_every_test_picture_and_page_that_is_named_exists() -> None:
    tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)
    assert len(tests) >= 9
    for path, name in tests:
        assert (ROOT / path).is_file(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), name
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", TEXT)
    assert len(pictures) == 5
    linked = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert all((DOCS / target).is_file() for target in linked), linked


@pytest.mark.parametrize("name", [name for name, held in EXPERIMENTS.items() if held.compose is not None])
def test_every_table_is_what_the_rows_say(name: str) -> None:
    rows, compose = rows_of(DOCS / "measured" / "residual_guide.jsonl", name), EXPERIMENTS[name].compose
    assert rows, f"no rows of {name}; make them with python -m benchmarks.residual_guide --only {name}"
    assert compose is not None
    assert put_table(TEXT, name, compose(rows)) == TEXT


def test_the_page_has_as_many_commands_as_are_run_here() -> None:
    assert len(COMMANDS) == len(set(COMMANDS)) == 26
    assert {line.split()[0] for line in COMMANDS} == {"finetune", "python", "torchrun"}


@pytest.mark.parametrize("line", marked("finetune "))
def test_a_command_of_finetune_runs(line: str, places: dict[str, str], in_an_empty_folder: Path) -> None:
    words = [places.get(word, word) for word in shlex.split(line)[1:]]
    brief = {"run": SMALL, "compare": [*SMALL, "--folds", "2"]}.get(words[0], [])
    with pytest.raises(SystemExit) as stop:
        main([*words, *brief])
    assert stop.value.code == 0
    assert "OUT" not in words or any((in_an_empty_folder / "OUT").iterdir())


@pytest.mark.parametrize("line", marked("python "))
def test_a_command_of_the_benchmarks_runs_or_says_what_it_lacks(
    line: str, places: dict[str, str], docs: Path, in_an_empty_folder: Path
) -> None:
    module, *words = [places.get(word, word) for word in shlex.split(line)[2:]]
    if module == "benchmarks.residual_guide":
        command = importlib.import_module(f"{module}.__main__").main
        words += ["--brief", "--docs", str(docs)] + ([] if "--only" in words else ["--only", "maps"])
    else:
        command = importlib.import_module(module).main
    done = CliRunner().invoke(command, words)
    if module.rpartition(".")[2] in ("cifar", "amp", "ddp") and not torch.cuda.is_available():
        assert done.exit_code == 1
        assert "is no CIFAR-10" in done.output or "CUDA devices needed" in done.output
    else:
        assert done.exit_code == 0, done.output


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("torchrun ")])
def test_the_command_for_two_processes_runs(line: str, places: dict[str, str], tmp_path: Path) -> None:
    bin_folder = Path(sys.executable).parent
    words = [places.get(word, word) for word in shlex.split(line)]
    surroundings = os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [str(bin_folder / words[0]), *words[1:], *SMALL], cwd=tmp_path, env=surroundings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "OUT" / "report.html").is_file()


def test_the_detector_on_the_page_takes_its_step_on_the_run_before_it(
    places: dict[str, str], in_an_empty_folder: Path
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    with pytest.raises(SystemExit) as stop:
        main([places.get(word, word) for word in [*shlex.split(THE_RUN)[1:], *SMALL]])
    assert stop.value.code == 0
    names: dict[str, object] = {}
    exec(compile(block, "docs/residual-guide.md", "exec"), names)
    detector = names["detector"]
    assert isinstance(detector, torch.nn.Module)
    learning = {name for name, held in detector.named_parameters() if held.grad is not None}
    assert {name.split(".")[2] for name in learning if name.startswith("backbone.body.")} == {"layer3", "layer4"}
