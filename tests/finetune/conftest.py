"""Small real data for the jobs: scikit-learn's digits as images, and a store of their own."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from recipes import Recipe, load_recipe

PER_DIGIT = 16


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`<digit>/<number>.png` for the digits 0, 1 and 8, 16 images each."""
    folder = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    for label in (0, 1, 8):
        (folder / str(label)).mkdir()
        for number in np.flatnonzero(digits.target == label)[:PER_DIGIT]:
            scan = Image.fromarray((digits.images[number] * 255 / 16).round().astype(np.uint8))
            scan.resize((48, 48), Image.Resampling.BICUBIC).save(folder / str(label) / f"{number:04d}.png")
    return folder


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty feature store for one test."""
    folder = tmp_path_factory.mktemp("store")
    monkeypatch.setenv("TAILTUNE_CACHE", str(folder))
    return folder


@pytest.fixture
def small_recipe() -> Recipe:
    """Embedded ImageNet weights at 64 pixels, two epochs, no worker processes."""
    overrides: dict[str, object] = {
        "model.name": "tf_efficientnet_lite0",
        "model.weights": "embedded",
        "model.image_size": 64,
        "train.epochs": 2,
        "data.workers": 0,
    }
    return load_recipe(None, overrides)
