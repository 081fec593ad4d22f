"""What the audit tells, and how severe it finds it."""

from dataclasses import replace

import pytest

from data_tools.auditing import Record, audit_records, spread_over_splits
from data_tools.columns import CHECKS
from data_tools.samples import Probe, Sample


def record(path: str, label: str = "cat", split: str = "train", group: str = "", **facts: object) -> Record:
    probe = Probe(sha256=path, width=20, height=20, mode="RGB", format="JPEG")
    return Record(Sample(path, label, split, group), replace(probe, **facts))  # type: ignore[arg-type]


PLENTY = [
    record(f"{label}/{number}.jpg", label, split)
    for label in ("cat", "dog")
    for number, split in enumerate(["train"] * 6 + ["val"] * 2 + ["test"] * 4)
]


def found(*extra: Record) -> list[tuple[str, str, str, str]]:
    return [(one.check, one.severity, one.path, one.other_path) for one in audit_records([*PLENTY, *extra])]


def test_clean_data_have_no_findings() -> None:
    assert audit_records(PLENTY) == []


@pytest.mark.parametrize(
    ("facts", "check", "severity"),
    [
        ({"reason": "file is empty"}, "unreadable", "warning"),
        ({"is_blank": True}, "blank_image", "warning"),
        ({"width": 1, "height": 20}, "tiny_image", "note"),
        ({"remarks": ("has an alpha channel",)}, "odd_file", "note"),
        ({"format": "GIF"}, "odd_file", "warning"),
    ],
)
def test_an_odd_image_is_named(facts: dict[str, object], check: str, severity: str) -> None:
    assert (check, severity, "cat/x.jpg", "") in found(record("cat/x.jpg", **facts))


def test_a_name_that_means_placeholder_is_told() -> None:
    [finding] = audit_records([*PLENTY, record("cat/imageNotFound.jpg")])
    assert finding.check == "odd_file"
    assert "placeholder" in finding.detail
    assert "'cat'" in finding.detail


def test_equal_files_in_one_split_are_a_note() -> None:
    assert found(record("cat/x.jpg", sha256="cat/0.jpg")) == [("duplicate", "note", "cat/0.jpg", "cat/x.jpg")]


def test_equal_files_in_two_splits_are_an_error() -> None:
    copy = record("cat/x.jpg", split="test", sha256="cat/0.jpg")
    assert found(copy) == [("duplicate_across_splits", "error", "cat/0.jpg", "cat/x.jpg")]
    assert len(spread_over_splits([*PLENTY, copy])["duplicates"]) == 1


def test_equal_files_under_two_labels_are_told_with_both_paths() -> None:
    copy = record("dog/x.jpg", "dog", sha256="cat/0.jpg")
    assert ("label_conflict", "warning", "cat/0.jpg", "dog/x.jpg") in found(copy)


def test_a_group_in_two_splits_is_an_error() -> None:
    pair = [record("cat/x.jpg", group="p"), record("cat/y.jpg", split="test", group="p")]
    summary, finding = audit_records([*PLENTY, *pair])
    assert (finding.check, finding.severity, finding.path, finding.other_path) == (
        "group_leakage",
        "error",
        "cat/x.jpg",
        "cat/y.jpg",
    )
    assert (summary.check, summary.severity, summary.path) == ("group_leakage", "error", "")
    assert summary.detail == "1 of the 1 group of test are also in train"
    assert len(spread_over_splits(pair)["groups"]) == 1


def test_images_without_group_leak_nothing() -> None:
    assert spread_over_splits(PLENTY) == {"duplicates": [], "groups": []}


def test_unreadable_images_take_no_part_in_other_checks() -> None:
    assert [one[0] for one in found(record("cat/x.jpg", split="test", sha256="cat/0.jpg", reason="broken"))] == [
        "unreadable"
    ]


def test_a_small_class_is_named_with_its_parts() -> None:
    details = {one.check: one.detail for one in audit_records([*PLENTY, record("owl/1.jpg", "owl")])}
    assert details["small_class"] == "class 'owl' has 1 image (train 1, val 0, test 0); none in val, test"
    assert details["class_imbalance"] == "'cat' has 12 images, 'owl' 1 (12.0 to 1)"


def test_labels_that_differ_in_case_or_space_are_told() -> None:
    twins = [
        record(f"{label}/{n}.jpg", label, one.sample.split)
        for label in ("Cat", "cat ")
        for n, one in enumerate(PLENTY[:12])
    ]
    [finding] = audit_records([*PLENTY, *twins])
    assert finding.check == "label_conflict"
    assert "'Cat', 'cat', 'cat '" in finding.detail


def test_modes_and_sizes_are_counted() -> None:
    details = {one.check: one.detail for one in audit_records([*PLENTY, record("cat/x.jpg", mode="L", width=30)])}
    assert details["mixed_modes"] == "colour modes: RGB 24, L 1; all read as RGB"
    assert details["mixed_sizes"] == "2 sizes, 20 to 30 pixels wide, median 20x20"


def test_errors_come_first_and_every_check_is_known() -> None:
    records = [
        *PLENTY,
        record("cat/x.jpg", split="test", sha256="cat/0.jpg"),
        record("cat/y.jpg", is_blank=True),
    ]
    findings = audit_records(records)
    assert [one.severity for one in findings] == ["error", "warning"]
    assert {one.check for one in findings} <= set(CHECKS)
