"""The pointing game: boxes that follow the crop of the evaluation view, and an honest count."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.pointing import BOXES, Pointing, is_hit, point_at, report_hits, seen_box
from data_tools import Preprocessing, evaluation_geometry
from finetune.backbones import load_backbone

SHARED = Path(__file__).parents[3] / "shared" / "data" / "hymenoptera"


def test_there_are_twenty_boxes_ten_a_class_each_inside_its_image() -> None:
    table = pd.read_csv(BOXES)
    assert len(table) == table["path"].nunique() == 20
    assert table["path"].str.split("/").str[1].value_counts().to_dict() == {"ants": 10, "bees": 10}
    assert ((table["left"] >= 0) & (table["left"] < table["right"]) & (table["right"] <= 1)).all()
    assert ((table["top"] >= 0) & (table["top"] < table["bottom"]) & (table["bottom"] <= 1)).all()
    if not SHARED.is_dir():
        pytest.skip(f"no real data: {SHARED} is absent")
    assert all((SHARED / path).is_file() for path in table["path"])


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("size", [(120, 200), (200, 120), (90, 90)])
def test_a_box_goes_through_the_crop_as_the_image_does(mode: str, size: tuple[int, int]) -> None:
    box = (0.3, 0.4, 0.6, 0.7)
    image = np.zeros((*size, 3), np.uint8)
    image[round(0.4 * size[0]) : round(0.7 * size[0]), round(0.3 * size[1]) : round(0.6 * size[1]), 0] = 255
    preprocessing = Preprocessing(64, 64, (0.6, 0.2, 0.2), (0.5,) * 3, crop_pct=0.875, crop_mode=mode)
    shown = evaluation_geometry(preprocessing)(image)
    inside = seen_box(image.shape, box, preprocessing)
    assert np.array_equal(inside, (shown[:, :, 0] > 127) & (shown[:, :, 1] == 0))
    assert 0.02 < inside.mean() < 0.5


def test_the_hottest_place_decides_and_a_map_without_heat_misses() -> None:
    inside = np.zeros((4, 4), bool)
    inside[1, 2] = True
    heat = np.full((4, 4), 0.1, np.float32)
    heat[1, 2] = 1
    assert is_hit(heat, inside)
    assert not is_hit(heat.T, inside)
    assert not is_hit(np.zeros((4, 4), np.float32), np.ones((4, 4), bool))


def test_one_image_is_pointed_at(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    backbone = load_backbone("resnet18", "none", 2, image_size=96)
    backbone.model.eval()
    everywhere = point_at(backbone, tmp_path / "a.png", 0, (0, 0, 1, 1))
    nowhere = point_at(backbone, tmp_path / "a.png", 0, (0, 0, 0, 0))
    assert everywhere.share == 1
    assert everywhere.middle
    assert nowhere == Pointing(False, False, False, 0.0, nowhere.picture)


def test_the_table_counts_hits_with_exact_intervals() -> None:
    picture = Image.new("RGB", (2, 1))
    pointed = [Pointing(True, k < 5, False, 0.2, picture) for k in range(10)]
    lines = report_hits(pointed).splitlines()
    assert lines[2] == "| hottest, true class | 10 | 1.00 | 0.69 to 1.00 |"
    assert lines[3] == "| hottest, answered class | 5 | 0.50 | 0.19 to 0.81 |"
    assert lines[4] == "| middle of the view | 0 | 0.00 | 0.00 to 0.31 |"
    assert lines[5] == "| drawn evenly from the view | 2.0 expected | 0.20 | |"
