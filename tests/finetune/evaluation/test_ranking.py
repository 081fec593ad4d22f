"""Average precision without each group: scikit-learn's on the table without it, in memory that grows as the table."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from finetune.evaluation.ranking import average_precision


@st.composite
def rankings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Truth, scores with ties, and groups, none of them empty."""
    count = draw(st.integers(2, 24))
    positive = draw(st.lists(st.booleans(), min_size=count, max_size=count).filter(any))
    scores = draw(st.lists(st.integers(0, draw(st.integers(0, 30))), min_size=count, max_size=count))
    group = draw(st.lists(st.integers(0, draw(st.integers(0, count))), min_size=count, max_size=count))
    names, numbered = np.unique(group, return_inverse=True)
    return np.array(positive), np.array(scores) / 7, numbered.astype(np.int64), len(names)


@given(rankings())
def test_average_precision_without_each_group_is_that_of_scikit_learn(
    ranking: tuple[np.ndarray, np.ndarray, np.ndarray, int],
) -> None:
    positive, scores, group, groups = ranking
    whole, without = average_precision(positive, scores, group, groups)
    assert whole == pytest.approx(average_precision_score(positive, scores), abs=1e-12)
    for left_out in range(groups):
        kept = group != left_out
        expected = average_precision_score(positive[kept], scores[kept]) if positive[kept].any() else np.nan
        assert without[left_out] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_memory_grows_as_the_images_do_not_as_images_times_groups() -> None:
    count = 4000
    scores = np.random.default_rng(0).random(count)
    tracemalloc.start()
    average_precision(scores > 0.5, scores, np.arange(count), count)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500 * count
