"""No image is decoded twice, and what is kept changes no byte of a run."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from torch import Tensor

import finetune
from data_tools import Preprocessing, decoding
from finetune.features import trunk
from finetune.jobs import keeping
from finetune.reporting.rebuilding import rebuild_report
from recipes import Recipe

SAME_BYTES = (
    *("recipe.yaml", "dataset.csv", "findings.csv", "freeze.json", "predictions.csv"),
    *("report.txt", "report.csv", "report.json", "model/config.json", "model/model.safetensors"),
)


def changed(recipe: Recipe, **sections: dict[str, object]) -> Recipe:
    updates = {name: getattr(recipe, name).model_copy(update=values) for name, values in sections.items()}
    return recipe.model_copy(update=updates)


class Counts:
    """Images decoded, and batches through the trunk, in this process."""

    decodes = 0
    batches = 0

    def take(self) -> tuple[int, int]:
        """Both, since the last time."""
        taken = self.decodes, self.batches
        self.decodes = self.batches = 0
        return taken


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    made, convert, as_input = Counts(), decoding._to_rgb, trunk.as_input

    def counted_image(image: Image.Image) -> Image.Image:
        made.decodes += 1
        return convert(image)

    def counted_batch(*given: object) -> Tensor:
        made.batches += 1
        return as_input(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "_to_rgb", counted_image)
    monkeypatch.setattr(trunk, "as_input", counted_batch)
    return made


@pytest.mark.usefixtures("store")
def test_another_tail_recipe_costs_no_decode_and_no_trunk(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, counts: Counts
) -> None:
    finetune.run(digits_folder, small_recipe, tmp_path / "first")
    decodes, batches = counts.take()
    assert decodes == len(list(digits_folder.rglob("*.png")))
    assert batches > 0
    other = changed(small_recipe, train={"learning_rate": 0.01, "epochs": 1}, head={"start": "drawn"})
    result = finetune.run(digits_folder, other, tmp_path / "second")
    assert "data:image/jpeg" in (result.folder / "report.html").read_text(encoding="utf-8")
    assert counts.take() == (0, 0)


@pytest.mark.parametrize(
    "sections",
    [
        {"freeze": {"policy": "gradual"}, "train": {"epochs": 3}},
        {"freeze": {"norm": "adapt"}, "train": {"epochs": 1}},
        {"cache": {"mode": "fresh"}, "train": {"epochs": 2}},
        {"augment": {"preset": "none"}, "train": {"epochs": 1}},
        {"augment": {"views": 1}, "train": {"epochs": 2}},
        {"augment": {"views": 1}, "cache": {"mode": "fresh"}, "train": {"epochs": 2}},
    ],
    ids=["gradual", "adapt", "fresh", "none", "one view", "one view, fresh"],
)
@pytest.mark.usefixtures("store")
def test_the_first_run_decodes_every_image_once(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, counts: Counts, sections: dict[str, dict[str, object]]
) -> None:
    finetune.run(digits_folder, changed(small_recipe, **sections), tmp_path / "run")
    assert counts.take()[0] == len(list(digits_folder.rglob("*.png")))


@pytest.mark.usefixtures("store")
def test_what_random_crops_are_cut_from_is_kept_only_where_there_are_some(small_recipe: Recipe) -> None:
    look = Preprocessing(32, 32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    for views, mode, expected in ((1, "auto", 2), (1, "stored", 2), (2, "auto", 3), (1, "fresh", 3), (1, "whole", 3)):
        recipe = changed(small_recipe, augment={"views": views, "preset": "standard"}, cache={"mode": mode})
        assert len(keeping.open_keeping(recipe, look).geometries) == expected


@pytest.mark.usefixtures("store")
def test_images_larger_than_the_network_looks_at_are_decoded_once_too(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, counts: Counts
) -> None:
    for path in digits_folder.rglob("*.png"):
        target = tmp_path / "large" / path.relative_to(digits_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            image.resize((200, 160)).save(target)
    finetune.run(tmp_path / "large", small_recipe, tmp_path / "first")
    assert counts.take()[0] == len(list(digits_folder.rglob("*.png")))
    other = changed(small_recipe, train={"learning_rate": 0.01})
    finetune.run(tmp_path / "large", other, tmp_path / "second")
    assert counts.take() == (0, 0)


def test_what_is_kept_changes_no_byte(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: Counts
) -> None:
    recipe = changed(small_recipe, train={"epochs": 1})
    images = len(list(digits_folder.rglob("*.png")))

    def run(name: str, workers: int = 0) -> Path:
        """Without features, so that the views are made anew."""
        monkeypatch.setenv("TAILTUNE_CACHE", str(tmp_path / "cache"))
        for entry in (tmp_path / "cache").glob("*"):
            if entry.name != "pixels":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        folder = finetune.run(digits_folder, changed(recipe, data={"workers": workers}), tmp_path / name).folder
        seen[name] = counts.take()[0]
        return folder

    seen: dict[str, int] = {}
    folders = [run("cold"), run("warm"), run("1 workers", 1), run("2 workers", 2)]
    for path in (tmp_path / "cache/pixels").glob("*/*.pack"):
        content = path.read_bytes()
        half = len(content) // 2
        path.write_bytes(content[:half] + bytes(byte ^ 1 for byte in content[half:]))
    folders.append(run("damaged"))
    shutil.rmtree(tmp_path / "cache/pixels")
    (tmp_path / "cache/pixels").touch()
    folders.append(run("not writable"))
    (tmp_path / "cache/pixels").unlink()
    monkeypatch.setattr(keeping, "_SHARE", 10**12)
    folders.append(run("no room"))
    for other in folders[1:]:
        page = () if "workers" in other.name else ("report.html",)  # it tells how many workers there were
        for name in (*SAME_BYTES, *page):
            assert (folders[0] / name).read_bytes() == (other / name).read_bytes(), (other.name, name)
        histories = [pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in (folders[0], other)]
        assert histories[0].equals(histories[1])
    assert [seen[name] for name in ("cold", "warm", "1 workers", "2 workers")] == [images, 0, 0, 0]
    assert 0 < seen["damaged"] <= 2 * images  # one whose pixels are lost after the scan is decoded then
    assert seen["not writable"] >= 2 * images
    assert seen["no room"] >= 2 * images
    assert not (tmp_path / "cache/pixels").exists()


@pytest.mark.usefixtures("store")
def test_a_report_built_again_shows_the_same_pictures(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    drawn = changed(small_recipe, train={"epochs": 1}, head={"start": "drawn"})
    folder = finetune.run(digits_folder, drawn, tmp_path / "run").folder
    page = (folder / "report.html").read_text(encoding="utf-8")
    rebuild_report(folder, tmp_path / "again")
    again = (tmp_path / "again" / "report.html").read_text(encoding="utf-8")
    pictures = [part.split('"')[0] for part in page.split("data:image/jpeg;base64,")[1:]]
    assert pictures
    assert pictures == [part.split('"')[0] for part in again.split("data:image/jpeg;base64,")[1:]]
