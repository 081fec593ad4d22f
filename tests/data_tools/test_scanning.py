"""What a folder's layout means, and what is walked past."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data_tools.errors import DataError
from data_tools.scanning import scan_folder

Make = Callable[[dict[str, int]], Path]


def details(folder: Path) -> list[tuple[str, str, str]]:
    return [(one.check, one.path, one.detail) for one in scan_folder(folder).findings]


def test_folders_are_classes_and_deeper_folders_belong_to_them(make_folder: Make) -> None:
    source = scan_folder(make_folder({"cat": 1, "dog": 1, "dog/old/grey": 1}))
    assert [(one.path, one.label, one.split) for one in source.samples] == [
        ("cat/0.png", "cat", ""),
        ("dog/0.png", "dog", ""),
        ("dog/old/grey/0.png", "dog", ""),
    ]


@pytest.mark.parametrize("name", ["val", "Valid", "validation", "VAL"])
def test_synonyms_of_val_are_read_as_val(make_folder: Make, name: str) -> None:
    source = scan_folder(make_folder({"training/cat": 1, f"{name}/cat": 1, "testing/cat": 1}))
    assert sorted(one.split for one in source.samples) == ["test", "train", "val"]


def test_folders_beside_the_splits_are_ignored_counted_and_named(make_folder: Make) -> None:
    folder = make_folder({"train/cat": 1, "test/cat": 1, "test_simple/cat": 3})
    assert len(scan_folder(folder).samples) == 2
    [(check, path, detail)] = details(folder)
    assert (check, path) == ("ignored_folder", "test_simple")
    assert detail.startswith("3 images")


def test_a_class_that_is_called_train_stays_a_class(make_folder: Make) -> None:
    source = scan_folder(make_folder({"train": 2, "bus": 2}))
    assert source.labels == ("bus", "train")
    assert {one.split for one in source.samples} == {""}


def test_test_without_train_is_refused(make_folder: Make) -> None:
    with pytest.raises(DataError, match="holds test, val but no train folder"):
        scan_folder(make_folder({"test/cat": 1, "val/cat": 1}))


def test_junk_is_no_class_and_is_counted(make_folder: Make) -> None:
    folder = make_folder({"cat": 1, "dog": 1, "__MACOSX": 1, ".ipynb_checkpoints": 1})
    for name in (".DS_Store", "cat/Thumbs.db", "cat/._0.png"):
        (folder / name).write_bytes(b"x")
    assert scan_folder(folder).labels == ("cat", "dog")
    assert details(folder) == [("odd_file", "", "5 files ignored: hidden, or left by a system")]


def test_other_files_are_counted_by_ending(make_folder: Make) -> None:
    folder = make_folder({"train/cat": 1, "val/cat": 1})
    for name in ("notes.txt", "train/cat/a.svg", "val/readme"):
        (folder / name).write_text("x")
    assert details(folder) == [("odd_file", "", "3 files ignored: no images (.svg 1, .txt 1, no ending 1)")]


def test_links_are_not_followed_out_of_the_folder(make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder({"cat": 1, "dog": 1})
    (tmp_path / "secret.png").write_bytes((folder / "cat/0.png").read_bytes())
    (folder / "cat/loop").symlink_to(folder)
    (folder / "cat/self.png").symlink_to(folder / "cat/self.png")
    (folder / "cat/out.png").symlink_to(tmp_path / "secret.png")
    (folder / "cat/in.png").symlink_to(folder / "dog/0.png")
    (folder / "cat/gone.png").symlink_to(folder / "nowhere.png")
    source = scan_folder(folder)
    assert {one.path: one.reason for one in source.samples} == {
        "cat/0.png": "",
        "cat/gone.png": "link leads nowhere",
        "cat/in.png": "",
        "cat/out.png": "link leads outside the data folder",
        "cat/self.png": "link leads nowhere",
        "dog/0.png": "",
    }
    assert [(one.path, one.detail) for one in source.findings] == [("cat/loop", "linked folder; not entered")]


def test_names_of_any_kind_are_listed(make_folder: Make) -> None:
    folder = make_folder({"cat": 1, "dog": 1})
    for name in ("a b.PNG", "line\nbreak.png", '"q",.png', "-x.png", "\U0001f41c.png"):
        (folder / "cat" / name).write_bytes(b"x")
    (folder / "cat" / "bad\udcff.png").write_bytes(b"x")
    samples = {one.path: one.reason for one in scan_folder(folder).samples}
    assert len(samples) == 8
    assert samples["cat/bad\\xff.png"] == "name is not valid UTF-8; rename it"


def test_images_without_class_folders_show_the_layout(make_folder: Make) -> None:
    with pytest.raises(DataError, match=r"flat/ holds 2 images but no class folders. Expected DATA/<class>"):
        scan_folder(make_folder({"flat": 2}) / "flat")


def test_an_empty_folder_shows_the_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no class folders and no images. Expected DATA/<class>"):
        scan_folder(tmp_path)
