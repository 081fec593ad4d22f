"""Small folders of images, made on the spot, and the shared real data where they are present."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[2].parent / "shared"

MakeImage = Callable[..., Path]


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (12, 10)) -> Path:
    """A picture of noise; equal seeds and sizes give equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[[dict[str, int]], Path]:
    """Folders with so many different images each: {"train/cat": 3} -> data/train/cat/0.png, ..."""

    def make(counts: dict[str, int], name: str = "data") -> Path:
        seed = 0
        for folder, count in counts.items():
            (tmp_path / name / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                seed += 1
                write_image(tmp_path / name / folder / f"{number}.png", seed)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the repository."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no real data: {SHARED / 'data'} is absent")
    return SHARED / "data"
