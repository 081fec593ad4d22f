"""Folds hold every image out once, keep groups together, and are refused where a class is too small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_tools.errors import DataError
from data_tools.folds import count_units, cut_folds


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=40, max_size=120),
    st.integers(2, 4),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
)
def test_every_image_is_held_out_once_and_groups_stay_together(
    images: list[tuple[str, int]], folds: int, repeats: int, seed: int
) -> None:
    labels, units = [label for label, _ in images], [unit for _, unit in images]
    if min(count_units(labels, units).values()) < folds:
        with pytest.raises(DataError, match="too few for"):
            cut_folds(labels, units, folds, repeats, seed)
        return
    fold_of = cut_folds(labels, units, folds, repeats, seed)
    assert fold_of.shape == (repeats, len(images))
    for row in fold_of:
        assert set(row) == set(range(folds))
        assert all(len({fold for fold, own in zip(row, units, strict=True) if own == unit}) == 1 for unit in units)
    assert (cut_folds(labels, units, folds, repeats, seed) == fold_of).all()


def test_folds_are_stratified_and_repeats_differ() -> None:
    labels = ["a"] * 60 + ["b"] * 30
    fold_of = cut_folds(labels, list(range(90)), 5, repeats=3)
    for row in fold_of:
        assert np.bincount(row[:60]).tolist() == [12] * 5
        assert np.bincount(row[60:]).tolist() == [6] * 5
    assert not (fold_of[0] == fold_of[1]).all()
    assert not (cut_folds(labels, list(range(90)), 5, seed=1)[0] == fold_of[0]).all()


def test_a_class_with_three_images_allows_three_folds() -> None:
    labels = ["NEUTROPHIL"] * 50 + ["BASOPHIL"] * 3
    with pytest.raises(DataError, match="'BASOPHIL' has images in 3 groups only, too few for 5 folds; at most 3 folds"):
        cut_folds(labels, list(range(53)), 5)
    assert set(cut_folds(labels, list(range(53)), 3)[0][50:]) == {0, 1, 2}
    with pytest.raises(DataError, match="1 group only, .* no folds are possible"):
        cut_folds(labels, [*range(50), 50, 50, 50], 2)


@pytest.mark.parametrize(("folds", "repeats"), [(1, 1), (3, 0)])
def test_numbers_that_make_no_folds_are_refused(folds: int, repeats: int) -> None:
    with pytest.raises(DataError, match="folds must be 2 or more"):
        cut_folds(["a", "b"], [0, 1], folds, repeats)
