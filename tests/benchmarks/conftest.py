"""Small real data for the benchmarks: the demo's digits, three classes of them."""

import shutil
from pathlib import Path

import pytest

from finetune.jobs.demo import write_digits


@pytest.fixture(scope="session")
def three_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`<digit>/<number>.png` for the digits 0, 1 and 8, 40 images each, 64 pixels wide."""
    folder = tmp_path_factory.mktemp("digits") / "digits"
    write_digits(folder)
    for label in set("0123456789") - set("018"):
        shutil.rmtree(folder / label)
    return folder
