"""Held-out images are those that were asked for, units stay whole, and findings speak of folds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_tools import Dataset, DatasetSettings, prepare_dataset
from data_tools.holding_out import hold_out, image_units, tell_folds, usable_images, with_splits, without_part


def made_of(images: list[tuple[str, int]]) -> Dataset:
    """A dataset of images with these labels and groups; one more cannot be read."""
    rows = [
        (f"{number:03d}.png", label, f"g{group}", "train", "ok", "", str(number))
        for number, (label, group) in enumerate(images)
    ]
    columns = ["path", "label", "group", "split", "status", "reason", "sha256"]
    rows.append(("broken.png", "a", "g0", "", "skipped", "truncated", ""))
    table = pd.DataFrame(rows, columns=columns)
    findings = pd.DataFrame(columns=["check", "severity", "path", "other_path", "detail"])
    return Dataset(Path(), table, ("a", "b"), findings, "", ())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), min_size=10, max_size=60),
    st.sets(st.integers(0, 12), min_size=1, max_size=5),
    st.sampled_from([0.0, 0.15, 0.4]),
    st.integers(0, 1000),
)
def test_parts_are_disjoint_and_units_whole(
    images: list[tuple[str, int]], held_out: set[int], val_fraction: float, seed: int
) -> None:
    dataset = made_of(images)
    units = image_units(dataset)
    mask = np.array([group in held_out for _, group in images])
    made = hold_out(dataset, mask, units, val_fraction, seed)
    parts = {split: set(made.part(split)["path"]) for split in ("train", "val", "test")}
    assert parts["test"] == {f"{number:03d}.png" for number in np.flatnonzero(mask)}
    assert sum(map(len, parts.values())) == len(images)
    assert made.part("val").empty or val_fraction
    splits = made.table[made.table["status"] == "ok"].groupby("group")["split"].nunique()
    assert (splits == 1).all()
    again = hold_out(dataset, mask, units, val_fraction, seed)
    pd.testing.assert_frame_equal(again.table, made.table)


def test_a_part_that_is_left_out_is_in_no_other() -> None:
    dataset = with_splits(made_of([("a", 0), ("b", 1), ("a", 2)]), {"001.png": "test"})
    left = without_part(dataset, "test")
    assert list(usable_images(left)["path"]) == ["000.png", "002.png"]
    assert left.part("test").empty
    assert len(left.table) == len(dataset.table)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve pictures of noise in two classes; a3 is a file equal to a2, b3 is b2 saved anew, larger."""
    root = tmp_path_factory.mktemp("copies")
    rng = np.random.default_rng(0)
    for label in "ab":
        (root / label).mkdir()
        for number in range(6):
            small = rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)
            Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC).save(root / label / f"{number}.png")
    (root / "a/3.png").write_bytes((root / "a/2.png").read_bytes())
    Image.open(root / "b/2.png").resize((80, 80), Image.Resampling.BICUBIC).save(root / "b/3.png")
    return prepare_dataset(root, DatasetSettings())


def test_equal_files_are_one_unit_and_near_copies_if_asked(copies: Dataset) -> None:
    place = {path: number for number, path in enumerate(usable_images(copies)["path"])}
    plain, joined = image_units(copies), image_units(copies, with_copies=True)
    for units in (plain, joined):
        assert units[place["a/2.png"]] == units[place["a/3.png"]]
    assert plain[place["b/2.png"]] != plain[place["b/3.png"]]
    assert joined[place["b/2.png"]] == joined[place["b/3.png"]]


def test_findings_tell_the_folds_of_copies(copies: Dataset) -> None:
    fold_of = {path: 1 + number % 2 for number, path in enumerate(usable_images(copies)["path"])}
    fold_of["a/3.png"] = fold_of["a/2.png"]
    told = tell_folds(copies, fold_of, "5 folds").findings.set_index("check")
    assert told.loc["duplicate", "detail"] == f"equal files, both in fold {fold_of['a/2.png']}"
    near = told.loc["near_duplicate_across_splits"]
    assert near["severity"] == "warning"
    assert {near["path"], near["other_path"]} == {"b/2.png", "b/3.png"}
    assert sorted(word for word in near["detail"].split() if word.isdigit()) == ["1", "2"]
    assert told.loc["split_rule", "detail"] == "5 folds"
    assert "duplicate_across_splits" not in told.index
