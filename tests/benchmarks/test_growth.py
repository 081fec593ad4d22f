"""Sets that grow, what is measured on them, and how it is judged."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks.grown_images import grow_images
from benchmarks.growth import main
from benchmarks.growth_verdicts import document, is_enough, judge
from benchmarks.results import read_results


def digests(folder: Path) -> dict[str, str]:
    files = sorted(folder.glob("*/*.jpg"))
    return {file.relative_to(folder).as_posix(): sha256(file.read_bytes()).hexdigest() for file in files}


def record(images: int, seconds: float, **changes: Any) -> dict[str, Any]:
    made = {"source": "s", "images": images, "policy": "head-only", "model": "m", "settings": [], "repeat": 1}
    made |= {"seconds": seconds, "cpu_seconds": seconds, "peak_anonymous_bytes": 10**9}
    return made | {"store_bytes": 100 * images, "forecast_store_bytes": 100 * images} | changes


def test_grown_sets_have_their_size_and_no_two_equal_images_and_lie_within_each_other(
    three_digits: Path, tmp_path: Path
) -> None:
    sets = grow_images(three_digits, [50, 300], tmp_path / "one")
    large, small = digests(sets[300]), digests(sets[50])
    assert (len(large), len(set(large.values()))) == (300, 300)
    assert len(small) == 50
    assert small.items() <= large.items()
    assert {path.split("/")[0] for path in small} == {"0", "1", "8"}
    with Image.open(sets[300] / next(iter(large))) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (64, 64), "L")
    assert digests(grow_images(three_digits, [300], tmp_path / "two")[300]) == large


def test_equal_and_blank_sources_grow_into_images_that_differ_in_their_pixels(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "blank" / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (20, 30)).save(tmp_path / "blank" / label / f"{number}.png")
    grown = grow_images(tmp_path / "blank", [18], tmp_path / "work")[18]
    pixels = {np.asarray(Image.open(file)).tobytes() for file in grown.glob("*/*.jpg")}
    assert len(pixels) == 18


def test_time_is_linear_where_each_further_image_costs_the_same_whatever_the_start() -> None:
    (series,) = judge([record(1000, 10 + 1), record(5000, 10 + 5), record(20_000, 10 + 20)])
    assert series.is_linear
    (series,) = judge([record(1000, 11), record(5000, 15), record(20_000, 15 + 15 * 1.16)])
    assert series.is_linear is False
    (series,) = judge([record(1000, 11), record(5000, 15)])
    assert series.is_linear is None
    assert is_enough([series])


def test_the_median_of_the_repeats_counts() -> None:
    repeats = [record(1000, seconds, repeat=number) for number, seconds in enumerate((11.0, 50.0, 11.2))]
    (series,) = judge([*repeats, record(5000, 15.2)])
    assert series.sizes[0].seconds == 11.2
    assert series.sizes[0].repeats == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peak_anonymous_bytes": 1.31 * 10**9}, "**does not hold**: RssAnon at 5,000 images is at most 1.3 times"),
        ({"store_bytes": 100 * 5000 * 1.021}, "**does not hold**: the store is within 2% of its forecast"),
    ],
)
def test_memory_and_store_beyond_their_limits_are_told(changes: dict[str, float], words: str) -> None:
    judged = judge([record(1000, 11), record(5000, 15, **changes)])
    assert not is_enough(judged)
    assert words in document(judged)


@pytest.mark.slow
def test_a_tiny_growth_is_measured_once_and_becomes_a_page(three_digits: Path, tmp_path: Path) -> None:
    results = tmp_path / "growth.jsonl"
    arguments = ["run", "--source", str(three_digits), "--sizes", "40,60", "--policy", "first-three", "--repeats", "1"]
    arguments += ["--set", "model.image_size=64", "--set", "data.workers=0", "--work", str(tmp_path / "work")]
    first = CliRunner().invoke(main, [*arguments, "--results", str(results)])
    assert first.exit_code == 0, first.output
    records = read_results(results)
    assert [record["images"] for record in records] == [40, 60]
    assert all(record["timings"]["images"] == record["images"] for record in records)
    assert all(0 <= record["store_bytes"] / record["forecast_store_bytes"] - 1 < 0.02 for record in records)
    assert all(record["peak_anonymous_bytes"] > 10**8 for record in records)
    assert not (tmp_path / "work" / "store").exists()
    again = CliRunner().invoke(main, [*arguments, "--results", str(results)])
    assert again.exit_code == 0
    assert read_results(results) == records
    page = CliRunner().invoke(main, ["table", str(results), "--out", str(tmp_path / "growth.md")])
    assert page.exit_code == 0, page.output
    text = (tmp_path / "growth.md").read_text()
    assert "## first-three, tf_efficientnet_lite0, digits, model.image_size=64, data.workers=0" in text
    assert "- cannot be told: time is linear within 15%" in text
    assert "- holds: the store is within 2% of its forecast" in text
