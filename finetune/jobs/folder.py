"""The folder of a run, and the machine it was made on."""

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from filelock import FileLock, Timeout

from data_tools.private import make_private_folder
from finetune.checkpoint import CheckpointFolder
from finetune.errors import EnvironmentFault, InputError
from finetune.ranks import count_processes
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
RUN_MARK = "recipe.yaml"


def open_run_folder(out: Path | None, data: Path, *, overwrite: bool = False, resume: bool = False) -> Path:
    """The folder of a run: `out`, or below `runs/` the next free one, or with `resume` the newest of this data.

    It holds no run unless one is resumed; what a run leaves that was refused at once is used again.

    Raises InputError when `out` holds another run and neither is set, holds something that is no
    run, or no run is there to resume; EnvironmentFault when it cannot be written.
    """
    if overwrite and resume:
        raise InputError("--resume goes on with a run, --overwrite begins it anew; give one of them.")
    folder = out if out is not None else _numbered(data.resolve().stem, is_new=not resume)
    if resume and not (folder / RUN_MARK).exists() and not _was_barely_begun(folder):
        raise InputError(f"{folder} holds no run (no {RUN_MARK}) to resume; leave --resume out to begin one.")
    try:
        if not resume and folder.exists() and any(folder.iterdir()) and not _was_barely_begun(folder):
            _clear(folder, overwrite)
        make_private_folder(folder)
        for orphan in folder.glob(".*.tmp"):
            orphan.unlink()
        probe = folder / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise EnvironmentFault(f"{folder} cannot be written: {error.strerror}. Choose another --out.") from error
    return folder


def _was_barely_begun(folder: Path) -> bool:
    """Whether a run was stopped here before it wrote anything."""
    return folder.is_dir() and {entry.name for entry in folder.iterdir()} == {"checkpoints"}


@contextmanager
def hold_run_folder(folder: Path, *, is_for_writing: bool = True) -> Iterator[CheckpointFolder]:
    """The checkpoints of a run, for this process alone; or to read, beside another process of the same training.

    Raises InputError while another process holds them.
    """
    checkpoints = folder / "checkpoints"
    if not is_for_writing:
        yield CheckpointFolder(checkpoints)
        return
    make_private_folder(checkpoints)
    lock = FileLock(checkpoints / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"{folder} is being written by another process; wait for it, or choose another --out."
        ) from error
    try:
        yield CheckpointFolder(checkpoints)
    finally:
        lock.release()


def _numbered(name: str, *, is_new: bool) -> Path:
    """`runs/<name>-<number>`: the first that is free, or the last that is not."""
    number = 1
    while (Path("runs") / f"{name}-{number}").exists():
        number += 1
    return Path("runs") / f"{name}-{number if is_new else max(1, number - 1)}"


def _clear(folder: Path, overwrite: bool) -> None:
    if not overwrite:
        raise InputError(
            f"{folder} is not empty. Choose another --out, go on with its run (--resume), or replace it (--overwrite)."
        )
    if not (folder / RUN_MARK).exists():
        raise InputError(
            f"{folder} holds files but no run (no {RUN_MARK}); it is not overwritten. Choose another --out."
        )
    empty_folder(folder)


def empty_folder(folder: Path) -> None:
    """Remove everything in `folder`; what a link leads to stays. Raises OSError where something may not be removed."""
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def describe_environment(made: "Preview", recipe: Recipe, command: Sequence[str]) -> dict[str, object]:
    """The content of environment.json: versions, seed, threads, device, the fit of a weights file, data, command."""
    return {
        "versions": {"python": platform.python_version(), **package_versions()},
        "platform": platform.platform(),
        "seed": recipe.seed,
        "threads": torch.get_num_threads(),
        "processes": count_processes(),
        "workers": made.workers,
        "device": str(made.device),
        "weights": made.backbone.fit.record() if made.backbone.fit is not None else None,
        "data": str(made.dataset.root.resolve()),
        "scaling": asdict(made.dataset.scaling),
        "command": list(command),
    }


def package_versions() -> dict[str, str]:
    """Versions of the packages that shape a result."""
    return {name: version(name) for name in _PACKAGES}
