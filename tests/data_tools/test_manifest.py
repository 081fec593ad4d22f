"""Manifests are read strictly; every fault is told with its line."""

from pathlib import Path

import pytest

from data_tools.errors import DataError
from data_tools.manifest import read_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("1.png", "2.png", "3.png", "4.png"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def manifest(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_labels_are_text_and_paths_get_one_spelling(folder: Path) -> None:
    rows = "./1.png,007,p1,train\n2.png,7,p1,Valid\n3.png,NA,,test\n4.png,7.0,p2,train\n"
    text = "\ufeffpath,label,group,split\n" + rows
    source = read_manifest(manifest(folder, text))
    assert [(one.path, one.label, one.group, one.split) for one in source.samples] == [
        ("1.png", "007", "p1", "train"),
        ("2.png", "7", "p1", "val"),
        ("3.png", "NA", "", "test"),
        ("4.png", "7.0", "p2", "train"),
    ]


def test_a_line_said_twice_counts_once_and_is_told(folder: Path) -> None:
    source = read_manifest(manifest(folder, "path,label\n1.png,a\n2.png,b\n.//1.png,a\n"))
    assert len(source.samples) == 2
    assert source.findings[0].detail == "listed on lines 2 and 4; counted once"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected a header"),
        ("path,label\n", "holds a header and no rows"),
        ("path,class\n1.png,a\n", "column 'label' is missing; expected path,label, found path,class"),
        ("path,label,label\n1.png,a,b\n", "column 'label' stands in the header more than once"),
        ("path,label\n1.png,a\n2.png, \n", "line 3: the label of '2.png' is empty"),
        ("path,label,split\n1.png,a,trian\n", "line 2: 'trian' is not a split .* did you mean 'train'"),
        ("path,label,split\n1.png,a,train\n2.png,a,\n", "line 3: no split, though other lines have one"),
        ("path,label\n1.png,a\n2.png\n", "line 3: 1 cells, the header has 2"),
        ('path,label\n"1.png,a\n', "line 2: .* is a quote left open"),
        ("path,label\n../1.png,a\n", "line 2: '../1.png' leads outside"),
        ("path,label\n/etc/passwd,a\n", "line 2: '/etc/passwd' leads outside"),
        ("path,label\nC:\\x.png,a\n", "leads outside"),
        ("path,label\nhttp://x/1.png,a\n", "leads outside"),
        ("path,label\n1.png,a\n1.png,b\n", "line 3: '1.png' has label 'b', but also 'a' .first on line 2"),
        ("path,label,split\n1.png,a,train\n1.png,a,val\n", "has split 'val', but also 'train'"),
        (b"path,label\n1.png,caf\xe9\n", "line 2: is not UTF-8"),
        ("path,label\n".encode("utf-16"), "UTF-16"),
        (b"path,label\n1\0.png,a\n", "line 2: holds a NUL byte"),
    ],
)
def test_a_fault_is_named_with_its_line(folder: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"list\.csv: .*{message}") as caught:
        read_manifest(manifest(folder, text))
    assert "\n" not in str(caught.value)


def test_all_missing_files_are_listed(folder: Path) -> None:
    rows = "".join(f"gone{number}.png,a\n" for number in range(30))
    with pytest.raises(DataError) as caught:
        read_manifest(manifest(folder, "path,label\n1.png,b\n" + rows))
    lines = str(caught.value).splitlines()
    assert lines[0] == "list.csv has 30 faults"
    assert len(lines) == 31
    assert lines[1].startswith("  line 3: 'gone0.png' is not a file")


def test_a_link_that_leads_outside_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "x.png"
    other.write_bytes(b"x")
    (folder / "5.png").symlink_to(other)
    with pytest.raises(DataError, match="is a link that leads outside"):
        read_manifest(manifest(folder, "path,label\n5.png,a\n"))
