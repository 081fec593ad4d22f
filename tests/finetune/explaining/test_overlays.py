"""Heat over a picture."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune.explaining import overlay


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 30), st.integers(1, 30))
def test_a_cold_map_leaves_the_picture_as_it_is(height: int, width: int, rows: int, columns: int) -> None:
    given_picture = picture(height, width)
    drawn = overlay(given_picture, np.zeros((rows, columns), np.float32))
    assert np.array_equal(drawn, given_picture)
    assert drawn.dtype == np.uint8


def test_only_the_hot_half_is_coloured() -> None:
    heat = np.zeros((40, 60), np.float32)
    heat[:, 30:] = 1
    drawn = overlay(picture(), heat)
    assert np.array_equal(drawn[:, :30], picture()[:, :30])
    assert np.abs(drawn[:, 30:].astype(int) - picture()[:, 30:]).mean() > 40


def test_heat_of_another_size_is_laid_over_the_same_places() -> None:
    heat = np.zeros((4, 6), np.float32)
    heat[3, 0] = 1
    moved = np.abs(overlay(picture(), heat).astype(int) - picture()).sum(2)
    row, column = divmod(int(moved[:, :].argmax()), 60)
    assert row >= 30
    assert column < 10
    assert not moved[:20, 20:].any()
