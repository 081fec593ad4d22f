"""`finetune audit` from the command line, on the real sets that it was made for."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from finetune.cli.main import main

SHARED = Path(__file__).parents[3].parent / "shared" / "data"

pytestmark = pytest.mark.usefixtures("store")


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"no real data: {SHARED} is absent")
    return SHARED


@pytest.fixture
def chest(shared: Path) -> list[object]:
    folder = shared / "chest_xray_pneumonia"
    return [folder, "--metadata", folder / "metadata.csv", "--group", "patient"]


def test_the_audit_of_chest_x_rays_finds_the_patients_on_both_sides(
    chest: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("audit", *chest, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert "error   group_leakage: 97 of the 198 groups of test are also in train" in printed
    assert "-> Cut anew with --resplit, keeping --group." in printed
    findings = pd.read_csv(tmp_path / "out" / "findings.csv", keep_default_na=False)
    across = findings[findings["check"] == "duplicate_across_splits"]
    assert len(across) == 3
    table = pd.read_csv(tmp_path / "out" / "dataset.csv", keep_default_na=False).set_index("path")
    for row in across.itertuples():
        assert table.loc[row.path, "sha256"] == table.loc[row.other_path, "sha256"]
        assert row.path.split("/")[0] != row.other_path.split("/")[0]


def test_a_run_on_chest_x_rays_is_refused_with_the_way_on(
    chest: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", "resnet18", "--weights", "none", "--out", tmp_path / "run"]
    assert call("run", *chest, *options) == 2
    error = capsys.readouterr().err
    assert "97 of the 198 groups of test are also in train" in error
    assert f"--resplit --metadata {chest[2]} --group patient" in error
    assert "--allow group_leakage" in error
    assert "--allow duplicate_across_splits" in error
    assert call("run", *chest, *options, "--dry-run", "--resplit") == 0
    allowed = ["--allow", "group_leakage", "--allow", "duplicate_across_splits"]
    assert call("run", *chest, *options, "--dry-run", *allowed) == 0


def test_a_fresh_cut_of_chest_x_rays_parts_no_patient(chest: list[object], tmp_path: Path) -> None:
    assert call("audit", *chest, "--resplit", "--out", tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "dataset.csv", keep_default_na=False)
    assert table.groupby("group")["split"].nunique().max() == 1
    assert table["group"].nunique() == 870
    findings = pd.read_csv(tmp_path / "out" / "findings.csv", keep_default_na=False)
    assert not {"group_leakage", "duplicate_across_splits"} & set(findings["check"])
    assert table["split"].value_counts(normalize=True)["test"] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("resplit", [[], ["--resplit"]])
def test_no_source_image_of_augmented_cells_crosses(shared: Path, tmp_path: Path, resplit: list[str]) -> None:
    folder = shared / "wbc_augmented"
    options = ["--metadata", folder / "metadata.csv", "--group", "source_image", "--out", tmp_path / "out"]
    assert call("audit", folder, *options, *resplit) == 0
    table = pd.read_csv(tmp_path / "out" / "dataset.csv", keep_default_na=False)
    assert table.groupby("group")["split"].nunique().max() == 1
    assert set(table["split"]) == {"train", "val", "test"}


def test_all_equal_files_of_brain_scans_are_told(shared: Path, tmp_path: Path) -> None:
    assert call("audit", shared / "brain_mri_yesno", "--out", tmp_path / "out") == 0
    findings = pd.read_csv(tmp_path / "out" / "findings.csv", keep_default_na=False)
    same = findings[findings["check"] == "duplicate"]
    assert same["path"].nunique() == 22
    table = pd.read_csv(tmp_path / "out" / "dataset.csv", keep_default_na=False)
    assert (table["sha256"].value_counts() > 1).sum() == 22


def test_an_audit_imports_no_network(digits_folder: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from finetune.cli.main import main\n"
        f"try: main(['audit', {str(digits_folder)!r}, '--out', {str(tmp_path / 'out')!r}])\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "print([name for name in ('timm', 'torchvision', 'albumentations') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_cannot_be_read_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("audit", tmp_path / "nowhere", "--out", tmp_path / "out") == 2
    assert "no such folder or file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
