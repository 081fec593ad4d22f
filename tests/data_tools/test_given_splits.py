"""A saved split table gives the same splits again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data_tools import DataError, DatasetSettings, prepare_dataset

MakeFolder = Callable[[dict[str, int]], Path]


def test_the_table_of_one_cut_is_the_cut_of_the_next(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder({"cat": 20, "dog": 20})
    (folder / "cat" / "broken.png").write_bytes(b"")
    first = prepare_dataset(folder, DatasetSettings(seed=3))
    saved = tmp_path / "dataset.csv"
    first.table.to_csv(saved, index=False)
    again = prepare_dataset(folder, DatasetSettings(seed=4, splits=saved))
    other = prepare_dataset(folder, DatasetSettings(seed=4))
    assert again.table["split"].tolist() == first.table["split"].tolist()
    assert other.table["split"].tolist() != first.table["split"].tolist()
    assert again.held_out_note == "train, val and test are kept as the data give them"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\ncat/0.png,cat\n", "column 'split' is missing; expected path,split"),
        ("path,split\ncat/0.png,trian\n", "line 2: 'trian' is not a split"),
        ("path,split\ncat/0.png,train\n./cat/0.png,test\n", "line 3: 'cat/0.png' has split 'test', but also 'train'"),
        ("path,split\ncat/0.png,train\n", r"3 images of data without a row .e\.g\. cat/1.png."),
        ("path,split\ncat/0.png,train\ncat/1.png,\ndog/0.png,train\ndog/1.png,test\n", "cat/1.png can be read but"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(make_folder: MakeFolder, tmp_path: Path, text: str, message: str) -> None:
    folder = make_folder({"cat": 2, "dog": 2})
    (tmp_path / "splits.csv").write_text(text)
    with pytest.raises(DataError, match=rf"splits\.csv: .*{message}"):
        prepare_dataset(folder, DatasetSettings(splits=tmp_path / "splits.csv"))


def test_a_table_and_a_fresh_cut_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leave one of them out"):
        DatasetSettings(splits=tmp_path / "splits.csv", resplit=True)
