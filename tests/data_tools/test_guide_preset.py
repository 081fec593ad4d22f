"""The preset of the residual guide against torchvision's transforms of the same names: 2,000 draws of each.

Two samples of one distribution differ by more than LIMIT, in the largest distance of their distribution functions, in
one of a thousand cases (Kolmogorov and Smirnov); a sample differs from the law it was drawn from by more than
LIMIT / sqrt(2) as rarely. Shares may differ by four standard errors.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import ks_1samp, ks_2samp, uniform
from sklearn.datasets import load_sample_image
from torchvision.transforms import v2

from data_tools import Preprocessing, build_training_pipeline, sample_seed

Array = NDArray[Any]
DRAWS, SIZE = 2000, 224
CROPS = 500
"""Draws that are enough for how crops are resampled."""
LIMIT = math.sqrt(-math.log(0.001 / 2) / DRAWS)
PICTURE: NDArray[np.uint8] = np.array(load_sample_image("china.jpg"))  # (427, 640, 3)
PIPELINE = build_training_pipeline("residual-guide", Preprocessing(SIZE, SIZE, (0.5,) * 3, (0.5,) * 3))
THEIRS = [v2.RandomResizedCrop(SIZE), v2.RandomHorizontalFlip(), v2.ColorJitter(0.4, 0.4, 0.4), v2.RandomGrayscale(0.1)]


def our_views(pixels: Array, steps: slice) -> Iterator[Array]:
    """Views (height, width, 3) by some of the steps of the preset: crop, mirror, colours, grey."""
    pipeline = replace(PIPELINE, transforms=PIPELINE.transforms[steps])
    return (pipeline.vary(pixels, sample_seed(0, view, "china.jpg")) for view in range(1, DRAWS + 1))


def their_views(pixels: Array, steps: slice, transforms: list[v2.Transform] = THEIRS) -> Iterator[Array]:
    """The same by torchvision; on pictures this small, several threads mostly wait for each other."""
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            torch.set_num_threads(1)
            transform = v2.Compose(transforms[steps])
            image = torch.from_numpy(pixels).permute(2, 0, 1)
            for _ in range(DRAWS):
                yield transform(image).permute(1, 2, 0).numpy()
    finally:
        torch.set_num_threads(threads)


def measure(pixels: Array, steps: slice, read: Callable[[Array], tuple[float, ...]]) -> tuple[Array, Array]:
    """What `read` finds in each view, ours and theirs: two arrays (measures, draws)."""
    ours, theirs = (np.array([read(view) for view in views(pixels, steps)]).T for views in (our_views, their_views))
    return ours, theirs


def assert_alike(ours: Array, theirs: Array) -> None:
    assert ks_2samp(ours, theirs).statistic < LIMIT


def assert_uniform(values: Array, low: float, high: float) -> None:
    assert ks_1samp(values, uniform(low, high - low).cdf).statistic < LIMIT / math.sqrt(2)


def assert_shares_alike(ours: Array, theirs: Array, expected: float) -> None:
    error = math.sqrt(expected * (1 - expected) / DRAWS)
    assert abs(ours.mean() - expected) < 4 * error
    assert abs(ours.mean() - theirs.mean()) < 4 * error * math.sqrt(2)


def read_crop(view: Array) -> tuple[float, ...]:
    """Of a view of places: whether mirrored, share of the area, logarithm of the aspect, left and upper edge.

    An edge counts as a share of where it could be. Between two places well inside, resampling is exact.
    """
    first, last = SIZE // 4, 3 * SIZE // 4
    slopes = (view[last, last, :2] - view[first, first, :2]) / (last - first) * SIZE  # of x and y
    width, height = np.abs(slopes)
    middle = (view[last, last, :2] + view[first, first, :2]) / 2 - slopes / (2 * SIZE) * (first + last + 1 - SIZE)
    left, top = (middle - np.array([width, height]) / 2) / np.maximum(1 - np.array([width, height]), 1e-9)
    aspect = math.log(width * PICTURE.shape[1] / (height * PICTURE.shape[0]))
    return float(slopes[0] < 0), float(width * height), aspect, float(left), float(top)


@cache
def crops() -> tuple[Array, Array]:
    """What both crop and mirror, read from a picture whose values say where they stand: x, y from 0 to 1."""
    height, width = PICTURE.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.5
    places = np.stack([x / width, y / height, np.zeros_like(x)], axis=2).astype(np.float32)
    return measure(places, slice(0, 2), read_crop)


def test_crops_have_torchvisions_areas_aspects_and_places() -> None:
    ours, theirs = crops()
    assert ours[1].min() > 0.079
    assert ours[1].max() <= 1.001
    for name, one, other in zip(("area", "aspect", "left", "top"), ours[1:], theirs[1:], strict=True):
        assert ks_2samp(one, other).statistic < LIMIT, name


def test_half_of_the_views_are_mirrored() -> None:
    assert_shares_alike(crops()[0][0], crops()[1][0], 0.5)


LEVELS = (80.0, 140.0)
TINT = (132.0, 104.0, 92.0)


def chart() -> NDArray[np.uint8]:
    """Two bands of grey and one of a colour, each a ramp of a few levels, so that rounding averages out."""
    ramp = np.tile(np.arange(-4, 5), 3)[None, :, None]
    bands = [np.full((9, 27, 3), level) for level in LEVELS] + [np.broadcast_to(TINT, (9, 27, 3))]
    return np.concatenate([band + ramp for band in bands]).astype(np.uint8)


def read_chart(view: Array) -> tuple[float, ...]:
    """The factors of brightness, contrast and saturation, whatever their order.

    Brightness scales the mean luminance, which the others keep; contrast, after that, the difference of the greys,
    which saturation leaves alone; saturation the difference of the tint's channels, which all three scale.
    """
    bands = view.reshape(3, 9, 27, 3).astype(np.float64).mean((1, 2))
    plain = np.array([[level] * 3 for level in LEVELS] + [TINT])
    weights = np.array([0.299, 0.587, 0.114])
    brightness = (bands @ weights).mean() / (plain @ weights).mean()
    greys = (bands[1] - bands[0]).mean() / (LEVELS[1] - LEVELS[0])
    tint = (bands[2, 0] - bands[2, 2]) / (TINT[0] - TINT[2])
    return brightness, greys / brightness, tint / greys


@cache
def factors() -> tuple[Array, Array]:
    return measure(chart(), slice(2, 3), read_chart)


@pytest.mark.parametrize("place", range(3), ids=["brightness", "contrast", "saturation"])
def test_factors_of_colour_are_uniform_as_torchvisions_are(place: int) -> None:
    ours, theirs = (both[place] for both in factors())
    assert_alike(ours, theirs)
    assert_uniform(ours, 0.6, 1.4)


def test_factors_of_colour_are_drawn_apart_from_each_other() -> None:
    for both in factors():
        off_diagonal = np.corrcoef(both)[np.triu_indices(3, 1)]
        assert np.abs(off_diagonal).max() < 4 / math.sqrt(DRAWS)


def read_picture(view: Array) -> tuple[float, ...]:
    """Of the means of 8 x 8 pixels: whether grey; mean luminance, its deviation, and mean difference of the channels.

    Means, since the crops are resampled differently: see the last test.
    """
    blocks = cv2.resize(view, (SIZE // 8, SIZE // 8), interpolation=cv2.INTER_AREA).astype(np.float32)
    luminance = blocks @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    colour = float((blocks.max(2) - blocks.min(2)).mean())
    return float(colour == 0), float(luminance.mean()), float(luminance.std()), colour


@cache
def views_of_the_picture() -> tuple[Array, Array]:
    return measure(PICTURE, slice(0, 4), read_picture)


def test_a_tenth_of_the_views_is_grey() -> None:
    ours, theirs = views_of_the_picture()
    assert_shares_alike(ours[0], theirs[0], 0.1)


@pytest.mark.parametrize("place", range(1, 4), ids=["luminance", "contrast", "colour"])
def test_views_of_a_photograph_are_distributed_as_torchvisions(place: int) -> None:
    ours, theirs = views_of_the_picture()
    assert_alike(ours[place], theirs[place])


def sharpness(view: Array) -> float:
    """Mean difference of neighbours along both axes."""
    values = view.astype(np.float32).mean(2)
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())


def test_crops_are_resampled_as_torchvisions_without_antialiasing_and_a_third_sharper_than_with_it() -> None:
    """The one difference that a photograph shows; of a picture that is larger than this one half, not a third."""
    limit = LIMIT * math.sqrt(DRAWS / CROPS)
    ours = np.array([sharpness(view) for view in islice(our_views(PICTURE, slice(0, 1)), CROPS)])
    theirs = {
        antialias: np.array([sharpness(view) for view in islice(their_views(PICTURE, slice(0, 1), crop), CROPS)])
        for antialias in (False, True)
        for crop in [[v2.RandomResizedCrop(SIZE, antialias=antialias)]]
    }
    assert ks_2samp(ours, theirs[False]).statistic < limit
    assert ks_2samp(ours, theirs[True]).statistic > limit
    assert 1.2 < ours.mean() / theirs[True].mean() < 1.4
