"""A run and what it keeps between runs are private to the user, under the umask that most systems have."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from data_tools import DatasetSettings
from finetune.jobs.auditing import audit
from finetune.jobs.external_validation import evaluate
from finetune.jobs.run import run
from finetune.reporting import rebuild_report
from recipes import Recipe

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


def open_folders(root: Path) -> list[str]:
    """Folders below and including `root` that others may enter or list."""
    folders = [root, *(folder for folder in root.rglob("*") if folder.is_dir())]
    return [str(folder) for folder in folders if stat.S_IMODE(folder.stat().st_mode) & 0o077]


def test_run_report_audit_and_cache_are_for_the_user_alone(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILTUNE_CACHE", str(tmp_path / "cache"))
    before = os.umask(0o022)
    try:
        result = run(digits_folder, small_recipe, tmp_path / "runs" / "digits")
        audit(digits_folder, small_recipe, tmp_path / "audit")
        known = DatasetSettings(allow=("seen_in_training",))
        evaluate(result.folder, digits_folder, tmp_path / "elsewhere" / "digits", known)
        table = tmp_path / "theirs" / "predictions.csv"
        table.parent.mkdir()
        shutil.copy(result.folder / "predictions.csv", table)
        report, _ = rebuild_report(table)
    finally:
        os.umask(before)
    made = [tmp_path / "runs", tmp_path / "cache", tmp_path / "audit", tmp_path / "elsewhere", report]
    assert {folder.name for folder in result.folder.iterdir() if folder.is_dir()} == {"checkpoints", "figures", "model"}
    assert {folder.name for folder in (tmp_path / "cache").iterdir() if folder.is_dir()} == {"features", "pixels"}
    assert [place for folder in made for place in open_folders(folder)] == []
    assert open_folders(table.parent) == [str(table.parent)]
