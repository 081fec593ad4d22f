"""What the names of files and folders mean: splits, junk, images."""

import os

from data_tools.columns import TEST, TRAIN, VAL
from data_tools.formats import FOREIGN_SUFFIXES, FORMAT_OF_SUFFIX

SPLIT_OF_NAME = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VAL,
    "valid": VAL,
    "validate": VAL,
    "validation": VAL,
    "dev": VAL,
    "test": TEST,
    "testing": TEST,
    "holdout": TEST,
}
IMAGE_SUFFIXES = frozenset((*FORMAT_OF_SUFFIX, *FOREIGN_SUFFIXES))
_JUNK_NAMES = frozenset(("thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db", "$recycle.bin"))


def split_named(name: str) -> str | None:
    """The split that a folder or cell of this name means, or None."""
    return SPLIT_OF_NAME.get(name.strip().lower())


def is_junk(name: str) -> bool:
    """Whether an operating system, editor or archiver left this entry (hidden names included)."""
    return name.startswith(".") or name.lower() in _JUNK_NAMES


def has_image_suffix(name: str) -> bool:
    """Whether a file of this name claims to be an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def is_text(name: str) -> bool:
    """Whether a file name is valid Unicode (Unix allows any bytes)."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def escape_name(name: str) -> str:
    """A file name with undecodable bytes written as \\xNN, so that it can stand in a table."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


LAYOUT_HINT = "Expected DATA/<class>/<image>, DATA/{train,val,test}/<class>/<image> or a CSV with columns path,label"
