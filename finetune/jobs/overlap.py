"""Images of another set that are equal to images of a run: those it learned from are no test."""

from collections.abc import Sequence

import pandas as pd

from data_tools import DataError, Dataset
from data_tools.columns import ERROR, FINDING_COLUMNS, TEST
from data_tools.wording import counted

SEEN = "seen_in_training"
_SHOWN = 3


def find_seen(dataset: Dataset, images: pd.DataFrame) -> pd.DataFrame:
    """An error finding for each usable image whose file is equal to one of the run's train or val part.

    `images`: the usable rows of the run's dataset.csv. By the sha256 of files: a copy that was saved anew is not found.
    """
    learned = images[images["split"] != TEST]
    known = {row["sha256"]: (row["path"], row["split"]) for row in reversed(learned.to_dict("records"))}
    rows = dataset.part(TEST)
    found = [
        (SEEN, ERROR, path, known[digest][0], f"equal to an image of the run's {known[digest][1]} part")
        for path, digest in zip(rows["path"], rows["sha256"], strict=True)
        if digest in known
    ]
    return pd.DataFrame(found, columns=list(FINDING_COLUMNS), dtype=str)


def check_unseen(dataset: Dataset, seen: pd.DataFrame, allow: Sequence[str]) -> None:
    """Raises DataError where images were seen and `allow` does not name the finding."""
    if seen.empty or SEEN in allow:
        return
    rows = seen.head(_SHOWN)
    pairs = "; ".join(f"{one}, there {other}" for one, other in zip(rows["path"], rows["other_path"], strict=True))
    raise DataError(
        f"{dataset.root.name}: {SEEN}: {len(seen)} of {counted(len(dataset.part(TEST)), 'image')} are equal to images "
        f"that the run has learned from (e.g. {pairs}); take them out, or go on with --allow {SEEN}"
    )


def tell_overlap(dataset: Dataset, images: pd.DataFrame, seen: pd.DataFrame) -> list[str]:
    """Sentences on images that the run knows: learned from, or in its own test part."""
    sentences = []
    rows = dataset.part(TEST)
    if len(seen):
        sentences.append(
            f"{len(seen)} of {counted(len(rows), 'image')} are equal to images that the run has learned from "
            f"(allowed by --allow {SEEN}): the numbers flatter."
        )
    own = int(rows["sha256"].isin(images[images["split"] == TEST]["sha256"]).sum())
    if own:
        sentences.append(
            f"{own} of {counted(len(rows), 'image')} are in the run's own test part too: the change compares sets that "
            "share images as if they were independent, so its intervals are too wide."
        )
    return sentences
