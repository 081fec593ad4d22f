"""Groups come from a column or from the path."""

from pathlib import Path

import pytest

from data_tools.errors import DataError
from data_tools.grouping import assign_groups
from data_tools.samples import Sample, Source

PATHS = ("cat/p1_a.png", "cat/p2_a.png", "dog/p1_b.png")
SOURCE = Source("", "pets", tuple(Sample(path, path[:3]) for path in PATHS), ("cat", "dog"))


def groups(source: Source) -> list[str]:
    return [one.group for one in source.samples]


def table(tmp_path: Path, text: str) -> Path:
    (tmp_path / "meta.csv").write_text(text)
    return tmp_path / "meta.csv"


@pytest.mark.parametrize("key", ["path", "file"])
def test_a_column_is_joined_on_path_or_file(tmp_path: Path, key: str) -> None:
    rows = "".join(f"./{path},s{number}\n" for number, path in enumerate(PATHS))
    path = table(tmp_path, f"{key},slide\n{rows}gone/x.png,s9\n")
    assert groups(assign_groups(SOURCE, path, "slide")) == ["s0", "s1", "s2"]


def test_a_pattern_takes_its_capture_group_from_the_path() -> None:
    assert groups(assign_groups(SOURCE, None, r"(p\d+)_")) == ["p1", "p2", "p1"]


def test_images_that_the_pattern_misses_stand_alone_and_are_told() -> None:
    source = assign_groups(SOURCE, None, r"cat/(p\d+)_")
    assert groups(source) == ["p1", "p2", ""]
    assert source.findings[0].severity == "warning"
    assert source.findings[0].path == "dog/p1_b.png"


def test_a_manifest_keeps_its_own_groups() -> None:
    assert assign_groups(SOURCE, None, None) is SOURCE


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("patiant", "no column and no pattern with one capture group; did you mean 'patient'"),
        (r"(p)(\d)", "has 2 capture groups; exactly one is needed"),
        (r"p\d+", "has 0 capture groups"),
        (r"(p", "no regular expression"),
        (r"(x)", "matches no path .the first is 'cat/p1_a.png'"),
    ],
)
def test_an_unusable_group_is_refused(tmp_path: Path, group: str, message: str) -> None:
    path = table(tmp_path, "path,patient\n" + "".join(f"{path},1\n" for path in PATHS))
    with pytest.raises(DataError, match=message):
        assign_groups(SOURCE, path, group)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,patient\nx,1\n", "no column to join on; expected path or file, found image,patient"),
        ("path,patient\nx.png,1\n", "none of its rows names an image"),
        ("path,patient\ncat/p1_a.png,1\n", "2 images without a row, .* cat/p2_a.png"),
        (
            "path,patient\ncat/p1_a.png,1\ncat/p1_a.png,2\n",
            "line 3: 'cat/p1_a.png' stands with other values on line 2",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        assign_groups(SOURCE, table(tmp_path, text), "patient")
