"""Reading rows from shards is numpy's indexing of the whole array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.features.stored import StoredArray

IMAGES, VIEWS = 11, 3
WHOLE = np.arange(IMAGES * VIEWS * 4).reshape(IMAGES, VIEWS, 2, 2).astype(np.float16)
PLACE = st.tuples(st.integers(0, IMAGES - 1), st.integers(0, VIEWS - 1))


def in_shards(size: int) -> StoredArray:
    return StoredArray([WHOLE[start : start + size] for start in range(0, IMAGES, size)], size, mark=None)


@given(size=st.integers(1, 12), places=st.lists(PLACE, max_size=20))
def test_any_rows_in_any_order_are_those_of_the_whole_array(size: int, places: list[tuple[int, int]]) -> None:
    rows = np.array([row for row, _ in places], dtype=np.int64)
    views = np.array([view for _, view in places], dtype=np.int64)
    array = in_shards(size)
    assert array.shape == WHOLE.shape
    assert len(array) == IMAGES
    read = array[rows, views]
    assert read.dtype == np.float16
    assert np.array_equal(read, WHOLE[rows, views])
    assert np.array_equal(array[rows, 1], WHOLE[rows, 1])


def test_rows_outside_the_array_are_refused() -> None:
    for rows in ([IMAGES], [-1], [40]):
        with pytest.raises(IndexError):
            in_shards(4)[np.array(rows), np.array([0])]
