"""The package is light to import and exports what it says."""

import subprocess
import sys

import data_tools

HEAVY = ("torch", "click", "albumentations", "cv2", "sklearn", "finetune", "recipes")


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(' '.join(name for name in sys.modules if '.' not in name))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_importing_the_package_loads_neither_pandas_nor_numpy() -> None:
    assert not modules_after("import data_tools") & {*HEAVY, "pandas", "numpy", "PIL"}


def test_every_public_name_loads_without_torch() -> None:
    assert not modules_after("from data_tools import *") & set(HEAVY)
    assert len(data_tools.__all__) == 22
    assert set(data_tools.__all__) == set(data_tools._HOMES)
    assert all(getattr(data_tools, name) is not None for name in data_tools.__all__)


def test_reading_in_parallel_does_not_load_pandas() -> None:
    assert "pandas" not in modules_after("import data_tools.probing")
