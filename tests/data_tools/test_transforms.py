"""Every transform of albumentations can be named; what it draws depends on the seed alone."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

from data_tools import Preprocessing, build_training_pipeline, sample_seed
from data_tools.errors import DataError
from data_tools.presets import PRESETS
from data_tools.transforms import build_transform, import_albumentations, transform_names
from recipes.transforms import TRANSFORMS

LOOK = Preprocessing(32, 32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
PIXELS = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)


def test_recipes_know_every_transform_of_albumentations() -> None:
    assert sorted(TRANSFORMS) == transform_names()
    assert len(TRANSFORMS) > 100


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("GaussianBlurr", {}, "'GaussianBlurr' is no transform of albumentations; did you mean 'GaussianBlur'"),
        ("HorizontalFlip", {"q": 0.5}, "HorizontalFlip takes no 'q'; it takes p"),
        ("HorizontalFlip", {"p": 1.5}, "HorizontalFlip: .*p"),
        ("GaussianBlur", {"sigma_limit": "much"}, "GaussianBlur: .*sigma_limit"),
    ],
)
def test_a_fault_names_transform_and_parameter(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"augment.transforms: {message}"):
        build_transform(name, parameters)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"name": "Resize", "height": 10, "width": 10}, r"augment.transforms 1, Resize: makes uint8 \(10, 10, 3\)"),
        ({"name": "Normalize"}, "Normalize: makes float32"),
        ({"name": "MaskDropout"}, "MaskDropout: fails on an image"),
    ],
)
def test_what_makes_no_image_of_an_image_is_refused(wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        build_training_pipeline("light", LOOK, [wanted])


def test_own_transforms_come_after_those_of_the_preset() -> None:
    further = [{"name": "InvertImg", "p": 1.0}]
    plain, own = build_training_pipeline("light", LOOK), build_training_pipeline("light", LOOK, further)
    assert "InvertImg" in own.description
    fitted = own.geometry(PIXELS)
    assert (own.vary(fitted, 5) == 255 - plain.vary(fitted, 5)).all()
    alone = build_training_pipeline("none", LOOK, further)
    assert (alone.vary(alone.geometry(PIXELS), 5) == 255 - alone.geometry(PIXELS)).all()


def test_every_transform_that_needs_no_more_draws_from_the_seed_alone() -> None:
    tried = 0
    for name in transform_names():
        try:
            pipeline = build_training_pipeline("none", LOOK, [{"name": name, "p": 1.0}])
        except DataError:
            continue  # needs parameters, masks, boxes or other images
        fitted = pipeline.geometry(PIXELS)
        first = pipeline.vary(fitted, 7)
        pipeline.vary(fitted, 8)
        np.random.seed(tried)  # noqa: NPY002
        assert (pipeline.vary(fitted, 7) == first).all(), name
        assert (pipeline.copied().vary(fitted, 7) == first).all(), name
        tried += 1
    assert tried > 60


def view_all(preset: str, samples: list[int]) -> list[bytes]:
    pipeline = build_training_pipeline(preset, LOOK)
    return [pipeline(PIXELS, sample_seed(0, 1, f"{sample}.png")).tobytes() for sample in samples]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_none_one_and_two_workers_make_the_same_batches(preset: str) -> None:
    samples = list(range(12))
    alone = view_all(preset, samples)
    assert len(set(alone)) > 8
    with ThreadPoolExecutor(1) as pool:
        assert list(pool.map(partial(view_all, preset), [samples]))[0] == alone
    with ThreadPoolExecutor(2) as pool:
        halves = list(pool.map(partial(view_all, preset), [samples[::2], samples[1::2]]))
    assert [halves[place % 2][place // 2] for place in samples] == alone


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_two_epochs_never_repeat(preset: str) -> None:
    pipeline = build_training_pipeline(preset, LOOK)
    views = [pipeline(PIXELS, sample_seed(0, epoch, "a.png")).tobytes() for epoch in range(1, 9)]
    assert len(set(views)) == 8


class Greys:
    """Eight equal pictures, varied either as albumentations' documentation says or with the seed of each sample."""

    def __init__(self, is_ours: bool) -> None:
        step = {"name": "RandomBrightnessContrast", "p": 1.0}
        self.pipeline = build_training_pipeline("none", LOOK, [step]) if is_ours else None
        albumentations = import_albumentations()
        self.compose = albumentations.Compose([albumentations.RandomBrightnessContrast(p=1.0)], seed=137)
        self.epoch = 1

    def __len__(self) -> int:
        return 8

    def __getitem__(self, place: int) -> float:
        grey = (np.arange(32 * 32 * 3) % 251).astype(np.uint8).reshape(32, 32, 3)
        if self.pipeline is None:
            return float(self.compose(image=grey)["image"].mean())
        return float(self.pipeline.vary(grey, sample_seed(137, self.epoch, f"{place}.png")).mean())


def two_epochs(images: Greys, workers: int) -> list[list[float]]:
    from torch.utils.data import DataLoader

    context = "spawn" if workers else None
    epochs = []
    for epoch in (1, 2):
        images.epoch = epoch
        loader = DataLoader(images, batch_size=1, num_workers=workers, multiprocessing_context=context)  # type: ignore
        epochs.append([float(value) for value in loader])
    return epochs


def test_two_workers_of_albumentations_repeat_each_other_and_ours_do_not() -> None:
    first, second = two_epochs(Greys(is_ours=False), 2)
    assert first[::2] == first[1::2], "the fault: one worker sees what the other saw"
    assert first == second, "the fault: the second epoch is the first again"
    assert len(set(first)) == 4
    ours = two_epochs(Greys(is_ours=True), 0)
    assert len({*ours[0], *ours[1]}) == 16
    assert two_epochs(Greys(is_ours=True), 1) == two_epochs(Greys(is_ours=True), 2) == ours


def test_every_step_of_a_preset_has_a_reason() -> None:
    assert set(PRESETS) == {"light", "standard", "residual-guide", "xray", "microscopy", "dermoscopy"}
    for preset in PRESETS.values():
        assert preset.crop_reason
        assert all(step.reason and step.name in TRANSFORMS for step in preset.steps)
    assert "HorizontalFlip" not in {step.name for step in PRESETS["xray"].steps}


def test_the_preset_of_the_guide_has_its_numbers() -> None:
    jitter = next(step for step in PRESETS["residual-guide"].steps if step.name == "ColorJitter").parameters
    assert [jitter[name] for name in ("brightness", "contrast", "saturation")] == [(0.6, 1.4)] * 3
    assert next(step for step in PRESETS["residual-guide"].steps if step.name == "ToGray").parameters == {"p": 0.1}
    assert PRESETS["residual-guide"].scale == (0.08, 1.0)
