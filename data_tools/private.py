"""Folders that nobody but the user may look into."""

from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make `folder` and what is missing above it, each with mode 0700; what is there keeps its mode.

    Raises OSError where one cannot be made. Where modes are no concept, as on Windows, they are as the system has it.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(exist_ok=True)  # raises where a file stands in its place
