"""The audit job: what it writes, and a manifest that a run takes."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import finetune
from data_tools import DatasetSettings, prepare_dataset
from finetune.errors import InputError
from finetune.jobs.auditing import audit
from finetune.jobs.previewing import IMAGES, VIEWS, preview_drawer
from recipes import Recipe, load_recipe

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def messy(digits_folder: Path, tmp_path: Path) -> Path:
    """Digits with a broken file, a copy under another label, a copy that was saved anew, a class called like a tag."""
    folder = tmp_path / "messy"
    shutil.copytree(digits_folder, folder)
    shutil.move(folder / "8", folder / "<b>8")
    (folder / "0" / "broken.png").write_bytes(b"<html></html>")
    files = sorted((folder / "1").iterdir())
    shutil.copy(files[0], folder / "0" / "copy.png")
    with Image.open(files[1]) as image:
        image.resize((96, 96), Image.Resampling.BICUBIC).save(folder / "1" / "larger.jpg", quality=90)
    return folder


def test_an_audit_leaves_tables_and_a_page(messy: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "out"
    dataset = audit(messy, small_recipe, out)
    table, findings = (pd.read_csv(out / f"{name}.csv", keep_default_na=False) for name in ("dataset", "findings"))
    assert len(table) == len(dataset.table) == 51
    assert {"unreadable", "label_conflict", "near_duplicate"} <= {
        check.replace("_across_splits", "") for check in findings["check"]
    }
    page = (out / "audit.html").read_text()
    assert "for research use only" in page.lower()
    assert "<b>8" not in page.replace("<b>What to do:</b>", "")
    assert "&lt;b&gt;8" in page
    assert page.count("data:image/jpeg;base64,") >= 4
    assert "is a web page saved under an image name" in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert not list(out.glob("*.tmp"))


def test_the_same_audit_gives_the_same_bytes(messy: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    for name, workers in (("a", 0), ("b", 2)):
        audit(messy, small_recipe, tmp_path / name, draw_preview=preview_drawer(small_recipe), workers=workers)
    for name in ("dataset.csv", "findings.csv", "audit.html", "preview.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_the_preview_shows_every_view(messy: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    audit(messy, small_recipe, tmp_path / "out", draw_preview=preview_drawer(small_recipe))
    with Image.open(tmp_path / "out" / "preview.png") as sheet:
        pixels = np.asarray(sheet)
    drawn = (pixels != 255).any(axis=2)
    assert drawn[:, 20:].any()
    rows = drawn[40:].any(axis=1)
    assert (np.diff(rows.astype(int)) == 1).sum() + rows[0] == IMAGES
    assert pixels.shape[1] > (VIEWS + 2) * 160


@pytest.mark.parametrize("place", ["inside", "above"])
def test_the_manifest_names_what_can_be_used_and_gives_the_same_cut(
    messy: Path, small_recipe: Recipe, tmp_path: Path, place: str
) -> None:
    manifest = (messy if place == "inside" else messy.parent) / "clean.csv"
    recipe = load_recipe(None, {"data.group": r"/(.*)\d\.", "data.workers": 0})
    dataset = audit(messy, recipe, tmp_path / "out", manifest=manifest)
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "group", "split"]
    assert len(rows) == 50
    assert not [row for row in rows if "broken" in row["path"]]
    again = prepare_dataset(manifest, DatasetSettings())
    used = dataset.table[dataset.table["status"] == "ok"].reset_index(drop=True)
    for column in ("label", "group", "split", "sha256"):
        assert again.table[column].tolist() == used[column].tolist(), column


@pytest.mark.parametrize(("place", "message"), [("0/clean.csv", "at or below its own folder"), ("clean.txt", "end in")])
def test_a_manifest_that_could_not_name_its_images_is_refused(
    messy: Path, small_recipe: Recipe, tmp_path: Path, place: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        audit(messy, small_recipe, tmp_path / "out", manifest=messy / place)
    assert not (messy / place).exists()


def test_an_audit_looks_on_where_a_run_must_not(messy: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    split = tmp_path / "split"
    for part in ("train", "test"):
        shutil.copytree(messy, split / part)
    dataset = audit(split, small_recipe, tmp_path / "out")
    errors = dataset.findings[dataset.findings["severity"] == "error"]
    assert set(errors["check"]) == {"duplicate_across_splits"}
    assert len(errors) >= 48


def test_a_second_audit_decodes_nothing(
    messy: Path, small_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data_tools import probing

    (messy / "0" / "broken.png").unlink()
    audit(messy, small_recipe, tmp_path / "first")
    decoded: list[int] = []
    decode: Callable[..., object] = probing.decode_content

    def counted(*arguments: object) -> object:
        decoded.append(1)
        return decode(*arguments)

    monkeypatch.setattr(probing, "decode_content", counted)
    audit(messy, small_recipe, tmp_path / "second")
    assert not decoded
    assert (tmp_path / "first" / "audit.html").read_bytes() == (tmp_path / "second" / "audit.html").read_bytes()


def test_the_page_of_a_run_shows_the_pairs_too(messy: Path, small_recipe: Recipe, tmp_path: Path) -> None:
    finetune.run(messy, small_recipe, tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    pairs = page.split('<div class="gallery pairs">')[1].split("</div>\n<details")[0]
    assert pairs.count("<figure>") >= 2
    assert pairs.count("data:image/jpeg;base64,") == 2 * pairs.count("<figure>")
    assert "0/copy.png" in pairs
