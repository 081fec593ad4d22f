"""Copies of a picture are found however they were saved; different pictures are not."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from sklearn.datasets import load_sample_images

from data_tools import DatasetSettings, prepare_dataset, read_image
from data_tools.near_duplicates import SIMILAR, find_near_duplicates
from data_tools.sketches import SIDE, make_sketch, unpack_sketches
from data_tools.splitting import join_units

Change = Callable[[Image.Image], Image.Image]


def photographs() -> list[Image.Image]:
    """scikit-learn's two photographs, each in four parts."""
    made = []
    for pixels in load_sample_images().images:
        image = Image.fromarray(pixels)
        made += [image.crop((x, y, x + 320, y + 213)) for x in (0, 320) for y in (0, 213)]
    return made


def saved_anew(image: Image.Image) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=30)
    return Image.open(content).convert("RGB")


CHANGES: dict[str, Change] = {
    "saved anew": saved_anew,
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "squashed": lambda image: image.resize((224, 224)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "paler": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned and mirrored": lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    "its edge cut off": lambda image: image.crop((2, 1, image.width - 2, image.height - 1)),
}


def sketches(images: list[Image.Image]) -> list[str]:
    return [make_sketch(np.asarray(image)) for image in images]


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_copy_is_found_and_nothing_else(change: str) -> None:
    images = photographs()
    pairs = find_near_duplicates(sketches([*images, *map(CHANGES[change], images)]))
    assert [(pair.first, pair.second) for pair in pairs] == [(place, place + 8) for place in range(8)]
    assert all(SIMILAR <= pair.similarity <= 1.001 for pair in pairs)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=40), st.integers(1, 9))
def test_sets_of_copies_are_joined_by_as_few_pairs_as_can_be(shown: list[int], rows: int) -> None:
    known = sketches(photographs())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("data_tools.near_duplicates._ROWS", rows)
        pairs = find_near_duplicates([known[place] for place in shown])
    assert len(pairs) == len(shown) - len(set(shown))
    units = join_units([""] * len(shown), pairs=[(pair.first, pair.second) for pair in pairs])
    for one, first in zip(units, shown, strict=True):
        assert {shown[place] for place, unit in enumerate(units) if unit == one} == {first}


def test_flat_pictures_and_missing_sketches_have_no_copies() -> None:
    flat = make_sketch(np.full((40, 50, 3), 7, dtype=np.uint8))
    assert find_near_duplicates([flat, flat, "", ""]) == []
    assert find_near_duplicates([]) == []


def test_pairs_beyond_one_block_of_rows_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_tools.near_duplicates._ROWS", 3)
    images = photographs()
    pairs = find_near_duplicates(sketches([*images, images[7], images[0]]))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 9), (7, 8)]


@settings(max_examples=50)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 3]), st.integers(0, 255))
def test_a_sketch_is_made_of_any_size(width: int, height: int, channels: int, level: int) -> None:
    pixels = np.full((height, width, channels), level, dtype=np.uint8)
    pixels = np.repeat(pixels, 3, axis=2) if channels == 1 else pixels
    assert (unpack_sketches([make_sketch(pixels)]) == level).all()
    assert unpack_sketches([make_sketch(pixels)]).shape == (1, SIDE, SIDE)


def test_joined_copies_stay_on_one_side(tmp_path: Path) -> None:
    parts = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for number in range(24):
        left, top = 20 * (number % 12), 10 * (number // 12)
        picture = parts[number % 2].crop((left, top, left + 300, top + 300))
        for name, change in (("a", lambda image: image), ("b", saved_anew)):
            place = tmp_path / "data" / f"class{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            change(picture).save(place / f"{number:02d}{name}.png")
    loose = prepare_dataset(tmp_path / "data", DatasetSettings(seed=1))
    checks = set(loose.findings["check"])
    assert "near_duplicate_across_splits" in checks
    joined = prepare_dataset(tmp_path / "data", DatasetSettings(seed=1, join_near_duplicates=True))
    assert "near_duplicate_across_splits" not in set(joined.findings["check"])
    assert len(joined.findings[joined.findings["check"] == "near_duplicate"]) >= 24


def test_the_copies_of_a_real_set_are_found_and_its_patients_told_apart(shared_data: Path) -> None:
    brain = prepare_dataset(shared_data / "brain_mri_yesno", DatasetSettings(), workers=2)
    near = brain.findings[brain.findings["check"].str.startswith("near_duplicate")]
    pairs = set(zip(near["path"], near["other_path"], strict=True))
    assert {("no/38 no.jpg", "no/No22.jpg"), ("yes/Y20.jpg", "yes/Y92.png")} <= pairs
    assert 18 <= len(pairs) <= 26
    xray = sorted((shared_data / "chest_xray_pneumonia" / "test" / "NORMAL").iterdir())
    digests = {path.read_bytes(): path for path in xray}
    found = find_near_duplicates([make_sketch(read_image(path)) for path in digests.values()])
    assert found == []


def test_a_grey_image_has_the_sketch_of_its_three_equal_channels() -> None:
    for size in ((20, 31), (127, 500), (224, 224), (375, 500)):
        grey = np.random.default_rng(size[0]).integers(0, 256, (*size, 1), dtype=np.uint8)
        assert make_sketch(grey) == make_sketch(np.repeat(grey, 3, axis=2))
