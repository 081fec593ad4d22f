"""Evaluation pixels equal timm's; training pixels depend on pixels and seed alone."""

import json
import pickle
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data_tools import (
    Pipeline,
    Preprocessing,
    build_evaluation_pipeline,
    build_training_pipeline,
    read_image,
    sample_seed,
)

BASE = Preprocessing(64, 64, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bicubic", 0.875)
SIZES = [(100, 80), (80, 101), (64, 64), (73, 73), (500, 375), (31, 200), (3, 5), (1, 1)]


def noise(width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def timm_pixels(pixels: np.ndarray[Any, np.dtype[np.uint8]], wish: Preprocessing) -> Any:
    data = pytest.importorskip("timm.data")
    transform = data.create_transform(
        input_size=(3, wish.height, wish.width),
        is_training=False,
        mean=wish.mean,
        std=wish.std,
        interpolation=wish.interpolation,
        crop_pct=wish.crop_pct,
        crop_mode=wish.crop_mode,
    )
    return transform(Image.fromarray(pixels)).numpy()


@pytest.mark.parametrize(
    "wish",
    [
        BASE,
        replace(BASE, interpolation="bilinear", crop_pct=1.0),
        replace(BASE, crop_pct=0.95, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        replace(BASE, crop_mode="squash"),
        replace(BASE, crop_mode="border", crop_pct=0.9),
        replace(BASE, height=48, width=80),
    ],
    ids=["center", "whole", "half", "squash", "border", "oblong"],
)
def test_evaluation_equals_timm(wish: Preprocessing) -> None:
    pipeline = build_evaluation_pipeline(wish)
    sizes = SIZES if wish.height == wish.width and wish.crop_mode != "border" else SIZES[:-3]
    for width, height in sizes:
        pixels = noise(width, height)
        np.testing.assert_array_equal(pipeline(pixels, 0), timm_pixels(pixels, wish))


def test_evaluation_equals_timm_on_real_images(shared_data: Path) -> None:
    pipeline = build_evaluation_pipeline(replace(BASE, height=224, width=224))
    paths = sorted((shared_data / "hymenoptera/val/bees").glob("*.jpg"))[:6]
    paths += sorted((shared_data / "brain_mri_yesno/yes").glob("Y1*"))[:6]
    assert len(paths) == 12
    for path in paths:
        pixels = read_image(path)
        expected = timm_pixels(pixels, replace(BASE, height=224, width=224))
        np.testing.assert_array_equal(pipeline(pixels, 0), expected)


@pytest.mark.parametrize("preset", ["none", "light", "standard"])
@pytest.mark.parametrize("size", [*SIZES, (8000, 2)])
def test_every_size_comes_out_alike(preset: Any, size: tuple[int, int]) -> None:
    view = build_training_pipeline(preset, BASE)(noise(*size), 1)
    assert view.shape == (3, 64, 64)
    assert view.dtype == np.float32
    assert view.flags.c_contiguous
    assert np.isfinite(view).all()


def test_views_depend_on_the_seed_alone() -> None:
    pixels, other = noise(100, 80), noise(90, 90)
    pipeline = build_training_pipeline("standard", BASE)
    first = {seed: pipeline(pixels, seed) for seed in range(4)}
    np.random.seed(1)
    random.seed(1)
    for seed in (3, 0, 2, 1):
        pipeline(other, seed)
        assert (pipeline(pixels, seed) == first[seed]).all()
        assert (build_training_pipeline("standard", BASE)(pixels, seed) == first[seed]).all()
    assert len({view.tobytes() for view in first.values()}) == 4


def test_no_global_state_is_touched() -> None:
    np.random.seed(7)
    random.seed(7)
    before = (np.random.get_state()[1].tolist(), random.getstate())  # type: ignore[index]
    pixels = noise(50, 50)
    build_training_pipeline("standard", BASE)(pixels, 3)
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before  # type: ignore[index]
    assert (pixels == noise(50, 50)).all()


def apply(task: tuple[Pipeline, int]) -> bytes:
    pipeline, seed = task
    return pipeline(noise(100, 80), seed).tobytes()


def test_another_process_gives_the_same_views() -> None:
    pipeline = build_training_pipeline("standard", BASE)
    tasks = [(pipeline, sample_seed(0, view, "cat/1.png")) for view in range(3)]
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        assert list(pool.map(apply, tasks)) == [apply(task) for task in tasks]
    assert pickle.loads(pickle.dumps(pipeline)).description == pipeline.description


def test_presets_differ_as_they_say() -> None:
    pixels = np.full((80, 80, 3), 200, dtype=np.uint8)
    none, light, standard = (build_training_pipeline(name, BASE) for name in ("none", "light", "standard"))  # type: ignore[arg-type]
    plain = build_evaluation_pipeline(BASE)(pixels, 0)
    assert all((none(pixels, seed) == plain).all() for seed in range(4))
    assert all(np.allclose(light(pixels, seed), plain) for seed in range(4))
    assert any(np.abs(standard(pixels, seed) - plain).max() > 0.05 for seed in range(4))


def test_the_description_tells_all_that_shapes_the_output() -> None:
    told = build_training_pipeline("standard", BASE).description
    assert told == build_training_pipeline("standard", replace(BASE)).description
    facts = json.loads(told)
    assert set(facts["versions"]) == {"albumentations", "opencv"}
    assert "pillow" in facts["geometry"]["versions"]
    assert [one["name"] for one in facts["transforms"]] == ["RandomResizedCrop", "HorizontalFlip", "ColorJitter"]
    others = [
        build_training_pipeline("light", BASE),
        build_evaluation_pipeline(BASE),
        build_evaluation_pipeline(replace(BASE, crop_pct=0.9)),
        build_evaluation_pipeline(replace(BASE, std=(0.5, 0.5, 0.5))),
    ]
    assert len({told, *(other.description for other in others)}) == 5


def test_sample_seeds_are_stable_and_distinct() -> None:
    assert sample_seed(0, 1, "a") == 1001821612
    seeds = {sample_seed(s, view, f"{n}.png") for s in range(3) for view in range(4) for n in range(50)}
    assert len(seeds) == 600
    assert all(0 <= seed < 2**32 for seed in seeds)
