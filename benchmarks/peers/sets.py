"""The real image sets of the comparison: which images they hold, and what must not be cut apart."""

import csv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.errors import PeerError

SUFFIXES = {".jpg", ".jpeg", ".png", ".gif"}
ENLARGED = "-1024"
"""At the end of a set's name: the same images and cuts, enlarged to PNG files of 1024 pixels."""


@dataclass(frozen=True)
class ImageSet:
    """One folder of real images, `.../<label>/<image>`."""

    name: str
    folder: str
    group_column: str = ""
    """Column of the folder's metadata.csv that names the group of an image; without it an image stands alone."""
    left_out: tuple[str, ...] = ()
    """Folders that are no part of the set."""
    carries_claim: bool = True
    """Whether accuracy on it means anything: the weights must not have seen its images."""


@dataclass(frozen=True)
class Image:
    """One image of a set; `path` is relative to the set's folder."""

    path: str
    label: str
    group: str


SETS = {
    one.name: one
    for one in (
        ImageSet("hymenoptera", "hymenoptera", carries_claim=False),
        ImageSet("brain_mri_yesno", "brain_mri_yesno"),
        ImageSet("bccd_wbc", "bccd_wbc", left_out=("BASOPHIL",)),  # three images cannot be parted
        ImageSet("chest_xray_pneumonia", "chest_xray_pneumonia", group_column="patient"),
        # which augmented copies the originals in test_simple belong to is not recorded
        ImageSet("wbc_augmented", "wbc_augmented", group_column="source_image", left_out=("test_simple",)),
    )
}


def find_set(name: str) -> ImageSet:
    """The set of that name, enlarged or not. Raises PeerError for an unknown one."""
    try:
        return SETS[name.removesuffix(ENLARGED)]
    except KeyError:
        raise PeerError(f"{name!r} is no set; choose one of {', '.join(SETS)}, or one with {ENLARGED} behind") from None


def list_images(data: Path, image_set: ImageSet) -> list[Image]:
    """Every image of a set, sorted by path. Raises PeerError where the folder or a group is missing."""
    folder = data / image_set.folder
    groups = _read_groups(folder, image_set.group_column)
    images = []
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        if file.suffix.lower() not in SUFFIXES or set(inside.parts) & set(image_set.left_out):
            continue
        path = inside.as_posix()
        if groups and path not in groups:
            raise PeerError(f"{image_set.name}: {path} has no row in metadata.csv, so no {image_set.group_column}")
        images.append(Image(path, file.parent.name, groups.get(path, "")))
    if not images:
        raise PeerError(f"{folder} holds no images; --data names the folder that holds {image_set.folder}/")
    return images


def _read_groups(folder: Path, column: str) -> dict[str, str]:
    if not column:
        return {}
    try:
        with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
            return {row["file"]: row[column] for row in csv.DictReader(file)}
    except FileNotFoundError:
        raise PeerError(f"{folder} holds no metadata.csv; it is needed for the column {column!r}") from None
