"""What a recipe asks of training images reaches them, is recorded, and is the same wherever an image is looked at."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import finetune
from data_tools import Scaling, build_evaluation_pipeline, read_image, thumbnail_geometry
from finetune.features import ImageViews, Viewer
from finetune.jobs.augmenting import count_views, training_pipeline
from finetune.jobs.planning import preview
from finetune.reporting import rebuild_report
from recipes import Recipe, RecipeError, load_recipe
from tests.data_tools.test_dicom import write_dicom

pytestmark = pytest.mark.usefixtures("store")


def changed(recipe: Recipe, **sections: dict[str, object]) -> Recipe:
    updates = {name: getattr(recipe, name).model_copy(update=values) for name, values in sections.items()}
    return recipe.model_copy(update=updates)


def odd_folder(folder: Path) -> Path:
    """Two classes of pictures of every odd kind: 16-bit, float, turned, transparent, palette, CMYK, DICOM."""
    generator = np.random.default_rng(0)
    for label in ("cat", "dog"):
        place = folder / label
        place.mkdir(parents=True)
        for copy in range(4):
            coarse = Image.fromarray(generator.integers(0, 256, (5, 7, 3), dtype=np.uint8))
            colours = coarse.resize((420, 300), Image.Resampling.BICUBIC)
            deep = np.asarray(colours.convert("L")).astype(np.uint16) * 257
            exif = Image.Exif()
            exif[0x0112] = 6
            colours.save(place / f"turned{copy}.jpg", exif=exif)
            colours.convert("CMYK").save(place / f"cmyk{copy}.tif")
            colours.quantize(16).save(place / f"palette{copy}.png", transparency=3)
            colours.convert("RGBA").save(place / f"clear{copy}.webp")
            Image.fromarray(deep).save(place / f"deep{copy}.png")
            Image.fromarray(deep.astype(np.float32)).save(place / f"float{copy}.tif")
            write_dicom(place / f"scan{copy}.dcm", deep)
    return folder


@pytest.fixture
def odd_recipe(small_recipe: Recipe) -> Recipe:
    data = {"scaling": "range", "scaling_range": [0, 50_000]}
    return changed(small_recipe, data=data, train={"epochs": 1}, augment={"views": 2, "preset": "light"})


def test_an_image_has_the_same_pixels_in_training_evaluation_and_thumbnails(tmp_path: Path, odd_recipe: Recipe) -> None:
    folder = odd_folder(tmp_path / "data")
    made = preview(folder, odd_recipe)
    look, keeping, table = made.backbone.preprocessing, made.keeping, made.dataset.table
    assert (table["status"] == "ok").all()
    plain, training = build_evaluation_pipeline(look), training_pipeline(odd_recipe, look)
    for row in table.itertuples():
        whole = read_image(folder / str(row.path), Scaling("range", 0, 50_000))
        views = ImageViews(
            made.dataset.root, [str(row.path)], Viewer(training, 0, 0, keeping, plain), [0, 1], [str(row.sha256)]
        )
        fresh = ImageViews(made.dataset.root, [str(row.path)], Viewer(plain, 0, 0, keeping), [0], [str(row.sha256)])
        wanted = torch.from_numpy(np.ascontiguousarray(plain.geometry(whole)))
        assert torch.equal(views[0][0], wanted), row.path
        assert torch.equal(fresh[0][0], wanted), row.path
        assert (
            keeping.pixels(folder / str(row.path), str(row.sha256), training.geometry) == training.geometry(whole)
        ).all()
        small = keeping.pixels(folder / str(row.path), str(row.sha256), thumbnail_geometry())
        assert (small == thumbnail_geometry()(whole)).all(), row.path


def test_a_run_records_its_pipelines_and_shows_the_pixels_it_used(tmp_path: Path, odd_recipe: Recipe) -> None:
    folder = odd_folder(tmp_path / "data")
    finetune.run(folder, odd_recipe, tmp_path / "run")
    told = json.loads((tmp_path / "run" / "pipeline.json").read_text())
    assert [step["name"] for step in told["training"]["transforms"]] == ["RandomResizedCrop", "HorizontalFlip"]
    assert told["evaluation"]["transforms"] == []
    assert set(told["training"]["versions"]) == {"albumentations", "opencv"}
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["scaling"] == {"rule": "range", "low": 0.0, "high": 50000.0, "bits": None}
    page = (tmp_path / "run" / "report.html").read_text()
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
        for content in re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" alt="">', page)  # heat maps have words
    ]
    assert shown
    wanted = {path: thumbnail_geometry()(read_image(path, Scaling("range", 0, 50_000))) for path in folder.rglob("*.*")}
    for picture in shown:
        near = [
            np.abs(picture.astype(int) - small.astype(int)).mean()
            for small in wanted.values()
            if small.shape == picture.shape
        ]
        assert min(near) < 8  # saved as JPEG; other pictures are 20 away and more


def test_a_rebuilt_report_shows_the_same_pictures(tmp_path: Path, odd_recipe: Recipe) -> None:
    finetune.run(odd_folder(tmp_path / "data"), odd_recipe, tmp_path / "run")
    pages = [(tmp_path / "run" / "report.html").read_text()]
    rebuild_report(tmp_path / "run")
    pages.append((tmp_path / "run" / "report.html").read_text())
    first, second = (re.findall(r'"data:image/jpeg;base64,([^"]+)"', page) for page in pages)
    assert first == second
    assert first


def test_own_transforms_of_a_recipe_reach_the_views(small_recipe: Recipe) -> None:
    recipe = load_recipe(None, {"augment.preset": "none", "augment.transforms": [{"name": "InvertImg", "p": 1.0}]})
    assert count_views(recipe) == recipe.augment.views > 1
    assert count_views(changed(small_recipe, augment={"preset": "none"})) == 1
    text = recipe.augment.model_dump()["transforms"]
    assert text == [{"name": "InvertImg", "p": 1.0}]


def test_a_transform_that_is_none_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RecipeError, match="'HorizontalFlop' is no transform of albumentations; .* 'HorizontalFlip'"):
        load_recipe(None, {"augment.transforms": [{"name": "HorizontalFlop"}]})


def test_a_recipe_with_transforms_survives_writing_and_reading(tmp_path: Path) -> None:
    from recipes import dump_recipe

    wanted = [{"name": "GaussianBlur", "sigma_limit": [0.1, 1.5], "p": 0.2}]
    recipe = load_recipe(None, {"augment.transforms": wanted})
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(str(tmp_path / "recipe.yaml"), {}) == recipe
