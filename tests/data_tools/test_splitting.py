"""The cut keeps units whole, meets the shares, and depends on its seed alone."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_tools.splitting import cut_parts, join_units

BOTH = {"test": 0.25, "val": 0.15}

images = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.integers(0, 60)), min_size=1, max_size=120)


@settings(max_examples=60, deadline=None)
@given(images, st.integers(0, 5))
def test_no_group_and_no_equal_file_is_cut_apart(rows: list[tuple[str, int, int]], seed: int) -> None:
    labels = [label for label, _, _ in rows]
    groups = [f"g{group}" if group else "" for _, group, _ in rows]
    digests = [f"d{digest}" for _, _, digest in rows]
    parts = cut_parts(labels, join_units(groups, digests), BOTH, seed)
    for keys in (groups, digests):
        held = defaultdict(set)
        for key, part in zip(keys, parts, strict=True):
            if key:
                held[key].add(part)
        assert all(len(one) == 1 for one in held.values())
    assert len(parts) == len(rows)
    assert set(parts) <= {"train", "val", "test"}
    assert parts == cut_parts(labels, join_units(groups, digests), BOTH, seed)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 80), min_size=1), st.integers(0, 5))
def test_single_images_meet_the_shares_of_every_class_exactly(sizes: dict[str, int], seed: int) -> None:
    labels = [label for label, size in sizes.items() for _ in range(size)]
    parts = cut_parts(labels, range(len(labels)), BOTH, seed)
    held = Counter(zip(labels, parts, strict=True))
    for label, size in sizes.items():
        if size >= 3:
            assert held[label, "test"] == max(1, round(size * 0.25))
            assert held[label, "val"] == max(1, round(size * 0.15))
            assert held[label, "train"] >= 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=40, max_size=80), st.integers(0, 5))
def test_groups_come_within_three_percent_of_the_shares(sizes: list[int], seed: int) -> None:
    units = [unit for unit, size in enumerate(sizes) for _ in range(size)]
    labels = ["even" if unit % 2 else "odd" for unit in units]
    held = Counter(zip(labels, cut_parts(labels, units, BOTH, seed), strict=True))
    for label, size in Counter(labels).items():
        assert held[label, "test"] / size == pytest.approx(0.25, abs=0.03)
        assert held[label, "val"] / size == pytest.approx(0.15, abs=0.03)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, ["train"]), (2, ["test", "train"]), (3, ["test", "train", "val"])],
)
def test_a_small_class_fills_train_then_test_then_val(count: int, expected: list[str]) -> None:
    labels = ["rare"] * count + ["common"] * 40
    for seed in range(5):
        parts = cut_parts(labels, range(len(labels)), BOTH, seed)
        assert sorted(parts[:count]) == expected


def test_three_groups_of_a_class_go_to_three_parts_and_the_largest_trains() -> None:
    labels = ["rare"] * 12 + ["common"] * 40
    units = [0] * 10 + [1, 2] + list(range(3, 43))
    for seed in range(5):
        parts = cut_parts(labels, units, BOTH, seed)
        assert parts[0] == "train"
        assert set(parts[:12]) == {"train", "val", "test"}


def test_seeds_give_different_cuts() -> None:
    labels = ["a", "b"] * 30
    cuts = {tuple(cut_parts(labels, range(60), BOTH, seed)) for seed in range(5)}
    assert len(cuts) == 5


def test_large_groups_are_not_always_trained_on() -> None:
    units = [0] * 6 + list(range(1, 60))
    labels = ["a"] * len(units)
    assert len({cut_parts(labels, units, BOTH, seed)[0] for seed in range(40)}) == 3


def test_only_the_asked_part_is_cut() -> None:
    parts = cut_parts(["a"] * 20, range(20), {"val": 0.15}, 0)
    assert Counter(parts) == {"train": 17, "val": 3}


def test_chains_of_groups_and_equal_files_make_one_unit() -> None:
    groups = ["p1", "p1", "p2", "", "", "p3"]
    digests = ["x", "y", "y", "z", "z", "w"]
    assert join_units(groups, digests) == [0, 0, 0, 1, 1, 2]


def test_empty_groups_and_checksums_join_nothing() -> None:
    assert join_units(["", "", ""], ["", "", ""]) == [0, 1, 2]
