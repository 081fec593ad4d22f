"""The import floors: they hold, and the checker turns red when one is crossed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("finetune", "recipes", "data_tools")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the checker on the packages in `folder`, not on the installed ones."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", code, "--config", "setup.cfg", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def test_the_floors_hold():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4 kept, 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("finetune/backbones/stages.py", "import finetune.jobs", "finetune.backbones.stages -> finetune.jobs"),
        ("data_tools/columns.py", "import finetune.errors", "data_tools.columns -> finetune.errors"),
        ("data_tools/columns.py", "import torch", "data_tools.columns -> torch"),
        ("data_tools/columns.py", "import recipes.errors", "data_tools.columns -> recipes.errors"),
        ("recipes/errors.py", "import pandas", "recipes.errors -> pandas"),
    ],
)
def test_crossing_a_floor_turns_the_check_red(copied, file, line, told):
    with (copied / file).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")
    result = lint_imports(copied)
    assert result.returncode == 1
    assert told in result.stdout


def test_a_module_without_a_floor_turns_the_check_red(copied):
    (copied / "finetune" / "homeless.py").write_text('"""Nobody said where this belongs."""\n', encoding="utf-8")
    result = lint_imports(copied)
    assert result.returncode == 1
    assert "homeless" in result.stdout + result.stderr
