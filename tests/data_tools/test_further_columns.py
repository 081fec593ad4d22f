"""Columns that a report parts images by, from manifest or metadata."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data_tools import DATASET_COLUMNS, DatasetSettings, prepare_dataset
from data_tools.errors import DataError

MakeFolder = Callable[..., Path]


def metadata(tmp_path: Path, header: str = "file,site,status") -> Path:
    rows = "".join(f"{label}/{number}.png, Ulm{number % 2} ,x\n" for label in ("cat", "dog") for number in range(5))
    (tmp_path / "meta.csv").write_text(f"{header}\n{rows}")
    return tmp_path / "meta.csv"


def test_a_column_of_metadata_stands_behind_those_of_the_table(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder({"cat": 6, "dog": 6})
    made = prepare_dataset(folder, DatasetSettings(metadata=metadata(tmp_path), further=("site",)))
    assert tuple(made.table.columns) == (*DATASET_COLUMNS, "site")
    told = dict(zip(made.table["path"], made.table["site"], strict=True))
    assert (told["cat/0.png"], told["dog/1.png"], told["cat/5.png"]) == ("Ulm0", "Ulm1", "")
    assert "site" in made.part("train").columns


def test_a_column_of_a_manifest_is_taken_along_too(make_folder: MakeFolder, tmp_path: Path) -> None:
    make_folder({"cat": 6, "dog": 6})
    lines = [f"data/{label}/{number}.png,{label},s{number}" for label in ("cat", "dog") for number in range(6)]
    (tmp_path / "list.csv").write_text("path,label,sex\n" + "\n".join(lines) + "\n")
    made = prepare_dataset(tmp_path / "list.csv", DatasetSettings(further=("sex",)))
    assert sorted(set(made.table["sex"])) == [f"s{number}" for number in range(6)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sit", "no column 'sit' in manifest or metadata to part images by; did you mean 'site'?"),
        ("weight", "columns: site"),
        ("status", "'status' is one of dataset.csv itself and cannot be taken along; rename it"),
    ],
)
def test_a_column_that_cannot_be_taken_is_refused(
    make_folder: MakeFolder, tmp_path: Path, name: str, said: str
) -> None:
    folder = make_folder({"cat": 6, "dog": 6})
    with pytest.raises(DataError, match=said):
        prepare_dataset(folder, DatasetSettings(metadata=metadata(tmp_path), further=(name,)))


def test_without_a_table_it_is_told_how_to_give_one(make_folder: MakeFolder) -> None:
    with pytest.raises(DataError, match="give a table: --metadata"):
        prepare_dataset(make_folder({"cat": 6, "dog": 6}), DatasetSettings(further=("site",)))
