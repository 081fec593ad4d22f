"""From a folder to one checked table, on made and on real images."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from data_tools import DATASET_COLUMNS, FINDING_COLUMNS, DataError, DatasetSettings, prepare_dataset

Make = Callable[[dict[str, int]], Path]


def splits(table: pd.DataFrame) -> dict[str, int]:
    return table["split"].value_counts().to_dict()


def checks(findings: pd.DataFrame) -> set[str]:
    return set(findings["check"])


def test_a_folder_of_classes_is_cut_in_three(make_folder: Make) -> None:
    data = prepare_dataset(make_folder({"cat": 20, "dog": 20}), DatasetSettings())
    assert data.labels == ("cat", "dog")
    assert splits(data.table) == {"train": 24, "test": 10, "val": 6}
    assert tuple(data.table.columns) == DATASET_COLUMNS
    assert tuple(data.findings.columns) == FINDING_COLUMNS
    assert data.table["path"].is_monotonic_increasing
    assert data.leakage() == {"duplicates_across_splits": 0, "groups_across_splits": 0}
    assert len(data.part("val")) == 6
    assert data.part("val").index[0] == 0


@pytest.mark.parametrize(("second", "word"), [("val", "stands as test"), ("test", "is kept")])
def test_the_second_of_two_parts_is_held_out_and_the_audit_says_so(make_folder: Make, second: str, word: str) -> None:
    counts = {f"{part}/{label}": size for part, size in (("train", 20), (second, 5)) for label in ("cat", "dog")}
    data = prepare_dataset(make_folder(counts), DatasetSettings())
    assert splits(data.table) == {"train": 34, "test": 10, "val": 6}
    assert set(data.part("test")["path"].str.split("/").str[0]) == {second}
    told = data.findings[data.findings["check"] == "split_rule"]["detail"].item()
    assert told == data.held_out_note
    assert word in told
    assert "fresh val part" in told


def test_three_given_parts_are_kept(make_folder: Make) -> None:
    counts = {f"{part}/{label}": 4 for part in ("train", "val", "test") for label in ("cat", "dog")}
    data = prepare_dataset(make_folder(counts), DatasetSettings())
    assert (data.table["path"].str.split("/").str[0] == data.table["split"]).all()


def test_resplit_ignores_the_given_parts(make_folder: Make) -> None:
    counts = {f"{part}/{label}": 10 for part in ("train", "val", "test") for label in ("cat", "dog")}
    data = prepare_dataset(make_folder(counts), DatasetSettings(resplit=True))
    assert (data.table["path"].str.split("/").str[0] != data.table["split"]).any()
    assert "ignored" in data.held_out_note


def test_broken_images_are_skipped_with_a_reason(make_folder: Make) -> None:
    folder = make_folder({"cat": 10, "dog": 10})
    (folder / "cat/0.png").write_bytes(b"")
    data = prepare_dataset(folder, DatasetSettings())
    row = data.table.iloc[0]
    assert (row["path"], row["status"], row["reason"]) == ("cat/0.png", "skipped", "file is empty (0 bytes)")
    assert sum(len(data.part(split)) for split in ("train", "val", "test")) == 19
    assert "unreadable" in checks(data.findings)
    with pytest.raises(DataError, match=r"data \(strict\): cat/0.png: file is empty"):
        prepare_dataset(folder, DatasetSettings(strict=True))


def test_equal_files_and_groups_stay_on_one_side(make_folder: Make) -> None:
    folder = make_folder({"cat": 20, "dog": 20})
    for number in range(10):
        shutil.copy(folder / f"cat/{number}.png", folder / f"cat/copy{number}.png")
    data = prepare_dataset(folder, DatasetSettings(group=r"(\d)\.png$"))
    assert data.table.groupby("group")["split"].nunique().max() == 1
    assert data.table.groupby("sha256")["split"].nunique().max() == 1


def test_given_parts_that_share_a_file_stop_the_run_unless_allowed(make_folder: Make) -> None:
    folder = make_folder({f"{part}/{label}": 4 for part in ("train", "test") for label in ("cat", "dog")})
    shutil.copy(folder / "train/cat/0.png", folder / "test/cat/copy.png")
    with pytest.raises(DataError, match="--resplit, or go on with --allow duplicate_across_splits"):
        prepare_dataset(folder, DatasetSettings())
    allowed = prepare_dataset(folder, DatasetSettings(allow=("duplicate_across_splits",)))
    assert allowed.leakage()["duplicates_across_splits"] == 1
    assert prepare_dataset(folder, DatasetSettings(resplit=True)).leakage()["duplicates_across_splits"] == 0


def test_given_parts_that_share_a_group_stop_the_run(make_folder: Make) -> None:
    folder = make_folder({f"{part}/{label}": 4 for part in ("train", "test") for label in ("cat", "dog")})
    with pytest.raises(DataError, match=r"group_leakage: 4 groups .* --resplit --group '\(\\d\)\\\.png', or go on"):
        prepare_dataset(folder, DatasetSettings(group=r"(\d)\.png"))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            {"daisy": 3},
            r"data/ holds one class \('daisy', 3 images\); two are needed .* one level too deep\?",
        ),
        ({"cat": 3, "dog": 0}, "data/: class 'dog' is empty: its folder holds no image"),
        (
            {"train/cat": 2, "train/dog": 2, "val/owl": 1, "test/cat": 1},
            "class 'owl' has images in val but none in",
        ),
        ({}, "no such folder or file"),
    ],
)
def test_unusable_folders_are_refused_in_one_line(make_folder: Make, counts: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        prepare_dataset(make_folder(counts), DatasetSettings())
    assert "\n" not in str(caught.value)


def test_a_class_that_loses_all_images_is_named(make_folder: Make) -> None:
    folder = make_folder({"cat": 3, "dog": 1})
    (folder / "dog/0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"class 'dog' has no usable image \(1 unreadable, such as dog/0.png\)"):
        prepare_dataset(folder, DatasetSettings())


def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match="neither a folder nor a .csv manifest"):
        prepare_dataset(tmp_path / "a.txt", DatasetSettings())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"allow": ("group_leak",)}, "'group_leak' is not a finding; did you mean 'group_leakage'"),
        ({"test_fraction": 0.0}, "must lie between 0 and 1"),
        ({"val_fraction": -0.1}, "must be 0 or lie between 0 and 1"),
        ({"test_fraction": 0.6, "val_fraction": 0.4}, "leave nothing to train on"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        DatasetSettings(**settings)  # type: ignore[arg-type]


def test_manifest_and_folder_give_the_same_images(make_folder: Make) -> None:
    folder = make_folder({"cat": 10, "dog": 10})
    lines = [f"{label}/{number}.png,{label}" for label in ("dog", "cat") for number in range(10)]
    (folder / "list.csv").write_text("path,label\n" + "\n".join(lines) + "\n")
    from_list = prepare_dataset(folder / "list.csv", DatasetSettings()).table
    pd.testing.assert_frame_equal(from_list, prepare_dataset(folder, DatasetSettings()).table)


def test_workers_change_nothing(make_folder: Make) -> None:
    folder = make_folder({"cat": 40, "dog": 40})
    (folder / "dog/7.png").write_bytes(b"broken")
    one, two = (prepare_dataset(folder, DatasetSettings(seed=3), workers=workers) for workers in (0, 2))
    pd.testing.assert_frame_equal(one.table, two.table)
    pd.testing.assert_frame_equal(one.findings, two.findings)


def test_the_table_reads_back_from_csv(make_folder: Make, tmp_path: Path) -> None:
    folder = make_folder({"007": 3, "NA": 3})
    (folder / "NA/0.png").write_bytes(b"broken")
    table = prepare_dataset(folder, DatasetSettings()).table
    table.to_csv(tmp_path / "table.csv", index=False)
    back = pd.read_csv(tmp_path / "table.csv", dtype=str, keep_default_na=False)
    assert back["label"].tolist() == ["007"] * 3 + ["NA"] * 3
    assert back["width"].tolist() == ["12"] * 3 + [""] + ["12"] * 2


def test_hymenoptera_names_the_placeholder_and_holds_val_out(shared_data: Path) -> None:
    data = prepare_dataset(shared_data / "hymenoptera", DatasetSettings())
    named = data.findings[data.findings["path"] == "train/ants/imageNotFound.gif"]
    assert set(named["check"]) == {"odd_file"}
    assert len(named) == 2
    assert len(data.part("test")) == 153
    assert len(data.table) == 398


def test_brain_mri_reads_four_modes_and_keeps_equal_files_together(shared_data: Path) -> None:
    data = prepare_dataset(shared_data / "brain_mri_yesno", DatasetSettings())
    assert set(data.table["mode"]) == {"RGB", "L", "RGBA", "P"}
    assert data.leakage()["duplicates_across_splits"] == 0
    assert (data.findings["check"] == "duplicate").sum() == 25


def test_blood_cells_warn_of_basophil(shared_data: Path) -> None:
    data = prepare_dataset(shared_data / "bccd_wbc", DatasetSettings())
    [detail] = data.findings[data.findings["check"] == "small_class"]["detail"]
    assert detail.startswith("class 'BASOPHIL' has 3 images")


def test_no_patient_of_the_chest_images_is_on_two_sides(shared_data: Path) -> None:
    folder = shared_data / "chest_xray_pneumonia"
    settings = DatasetSettings(metadata=folder / "metadata.csv", group="patient", resplit=True)
    data = prepare_dataset(folder, settings)
    assert data.leakage() == {"duplicates_across_splits": 0, "groups_across_splits": 0}
    assert data.table.groupby("group")["split"].nunique().max() == 1
    shares = data.table["split"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.25, abs=0.005)
    assert shares["val"] == pytest.approx(0.15, abs=0.005)


def test_folders_beside_train_and_test_are_named(shared_data: Path) -> None:
    folder = shared_data / "wbc_augmented"
    settings = DatasetSettings(metadata=folder / "metadata.csv", group="source_image")
    data = prepare_dataset(folder, settings)
    [ignored] = data.findings[data.findings["check"] == "ignored_folder"].itertuples()
    assert ignored.path == "test_simple"
    assert ignored.detail.startswith("71 images")
    assert data.leakage()["groups_across_splits"] == 0
