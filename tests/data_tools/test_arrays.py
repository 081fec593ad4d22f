"""Pillow's pixels come out as numpy.asarray gives them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_tools.arrays import rgb_array


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32))
def test_pixels_are_those_of_numpy(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    assert (rgb_array(image) == pixels).all()
    assert (rgb_array(image.transpose(Image.Transpose.ROTATE_90)) == np.rot90(pixels)).all()
    assert (rgb_array(image.crop((width // 2, 0, width, height))) == pixels[:, width // 2 :]).all()


def test_an_image_of_several_blocks_of_memory_is_read_all_the_same() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3000, 2500, 3), dtype=np.uint8)
    assert (rgb_array(Image.fromarray(pixels)) == pixels).all()


def test_the_array_lives_on_without_the_image() -> None:
    arrays = [rgb_array(Image.new("RGB", (300, 200), (number, 2, 3))) for number in range(50)]
    assert all((array == (number, 2, 3)).all() for number, array in enumerate(arrays))


def test_other_pillows_and_other_alignments_go_through_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.new("RGB", (5, 4), (1, 2, 3))
    monkeypatch.setattr(Image.core, "get_alignment", lambda: 8)
    assert (rgb_array(image) == (1, 2, 3)).all()
    monkeypatch.undo()
    monkeypatch.delattr(Image.Image, "__arrow_c_array__")
    assert (rgb_array(image) == (1, 2, 3)).all()
