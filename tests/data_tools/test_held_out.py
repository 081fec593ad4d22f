"""Data for a network that is trained already: its classes, every image held out, no split needed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data_tools import DataError, Dataset, DatasetSettings, prepare_dataset

MakeFolder = Callable[..., Path]


def held_out(folder: Path, *known: str, **settings: object) -> Dataset:
    return prepare_dataset(folder, DatasetSettings(known_labels=known, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "counts",
    [
        {"cat": 3, "dog": 4},
        {"train/cat": 3, "val/dog": 4},
        {"test/cat": 3, "test/dog": 4},
        {"val/cat": 3, "test/dog": 4},
    ],
)
def test_every_image_is_held_out_whatever_splits_there_are(make_folder: MakeFolder, counts: dict[str, int]) -> None:
    made = held_out(make_folder(counts), "cat", "dog", "owl")
    assert set(made.table["split"]) == {"test"}
    assert len(made.part("test")) == 7
    assert made.labels == ("cat", "dog")
    assert made.leakage() == {"duplicates_across_splits": 0, "groups_across_splits": 0}
    details = " ".join(made.findings["detail"])
    assert "none in" not in details
    assert "every image is held out" in details


def test_one_class_alone_can_be_judged(make_folder: MakeFolder) -> None:
    assert len(held_out(make_folder({"cat": 2}), "cat", "dog").part("test")) == 2


def test_an_unknown_class_is_named_with_the_nearest_before_any_image_is_read(make_folder: MakeFolder) -> None:
    folder = make_folder({"cat": 1, "dogs": 2, "zebra": 3})
    (folder / "dogs" / "0.png").write_bytes(b"broken")
    with pytest.raises(DataError) as told:
        held_out(folder, "cat", "dog")
    text = str(told.value)
    assert "class 'dogs' (2 images)" in text
    assert "did you mean 'dog'?" in text
    assert "class 'zebra' (3 images)" in text
    assert "'cat'" in text


def test_a_class_without_a_readable_image_is_passed_over_but_not_all_of_them(make_folder: MakeFolder) -> None:
    folder = make_folder({"cat": 1, "dog": 1})
    (folder / "dog" / "0.png").write_bytes(b"broken")
    assert list(held_out(folder, "cat", "dog").part("test")["label"]) == ["cat"]
    with pytest.raises(DataError, match=r"dog/0\.png"):
        held_out(folder, "cat", "dog", strict=True)
    (folder / "cat" / "0.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="no image that can be read"):
        held_out(folder, "cat", "dog")
