"""The folder of a run, and the machine it was made on."""

import os
import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from finetune.errors import EnvironmentFault, InputError
from recipes import Recipe

if TYPE_CHECKING:
    from finetune.jobs.planning import Preview

_PACKAGES = (
    "tailtune",
    "torch",
    "torchvision",
    "timm",
    "scikit-learn",
    "pandas",
    "numpy",
    "albumentations",
    "pillow",
)
_MARK = "recipe.yaml"


def open_run_folder(out: Path | None, data: Path, overwrite: bool) -> Path:
    """Create the empty folder of a run: `out`, or the next free `runs/<name of the data>`.

    Raises InputError when `out` holds another run and `overwrite` is not set, or holds something
    that is no run; EnvironmentFault when it cannot be written.
    """
    folder = out if out is not None else _next_free(Path("runs"), data.resolve().stem)
    try:
        if folder.exists() and any(folder.iterdir()):
            _clear(folder, overwrite)
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise EnvironmentFault(f"{folder} cannot be written: {error.strerror}. Choose another --out.") from error
    return folder


def _next_free(parent: Path, name: str) -> Path:
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def _clear(folder: Path, overwrite: bool) -> None:
    if not overwrite:
        raise InputError(f"{folder} is not empty. Choose another --out, or replace the run in it with --overwrite.")
    if not (folder / _MARK).exists():
        raise InputError(f"{folder} holds files but no run (no {_MARK}); it is not overwritten. Choose another --out.")
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def describe_environment(made: "Preview", recipe: Recipe, command: Sequence[str]) -> dict[str, object]:
    """The content of environment.json: versions, seed, threads, device, where the images lie, command."""
    return {
        "versions": {"python": platform.python_version(), **package_versions()},
        "platform": platform.platform(),
        "seed": recipe.seed,
        "threads": torch.get_num_threads(),
        "workers": made.workers,
        "device": str(made.device),
        "data": str(made.dataset.root.resolve()),
        "command": list(command),
    }


def package_versions() -> dict[str, str]:
    """Versions of the packages that shape a result."""
    return {name: version(name) for name in _PACKAGES}
