"""The cuts of the comparison: grouped, capped, deterministic, and the same for every tool."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from benchmarks.peers.cuts import CAPS, make_cut, prepare_cut
from benchmarks.peers.errors import PeerError
from benchmarks.peers.sets import SETS, Image, find_set, list_images
from benchmarks.peers.tools.task import read_rows

ITEMS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12), st.integers(0, 30)), min_size=1, max_size=80)


def images_of(items: list[tuple[str, int, int]]) -> tuple[list[Image], list[str]]:
    """Images with a label, a group (0: none) and a digest (0: its own) each."""
    images = [Image(f"{label}/{n}.png", label, f"g{group}" * (group > 0)) for n, (label, group, _) in enumerate(items)]
    return images, [f"d{digest}" if digest else f"own{n}" for n, (_, _, digest) in enumerate(items)]


@settings(max_examples=200, deadline=None)
@given(items=ITEMS, seed=st.integers(0, 5), train=st.integers(1, 40), test=st.integers(1, 40))
def test_no_group_and_no_equal_files_lie_on_both_sides_and_the_caps_hold(
    items: list[tuple[str, int, int]], seed: int, train: int, test: int
) -> None:
    images, digests = images_of(items)
    caps = {"train": train, "test": test}
    rows = make_cut(images, digests, seed, caps)
    assert rows == make_cut(images, digests, seed, caps)
    of_path = {image.path: (image.group, digest) for image, digest in zip(images, digests, strict=True)}
    for key in (0, 1):
        sides: dict[str, set[str]] = {}
        for row in rows:
            if of_path[row.path][key]:
                sides.setdefault(of_path[row.path][key], set()).add(row.split)
        assert all(len(one) == 1 for one in sides.values())
    assert all(Counter(row.split for row in rows)[part] <= cap for part, cap in caps.items())
    groups: dict[str, set[str]] = {}
    for row in rows:
        groups.setdefault(row.group, set()).add(row.split)
    assert all(len(one) == 1 for one in groups.values())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_cap_takes_whole_groups_and_fills_each_class_to_its_share(seed: int) -> None:
    images = [
        Image(f"{label}/{group}-{copy}.png", label, f"{label}{group}")
        for label, groups in (("a", 30), ("b", 15))
        for group in range(groups)
        for copy in range(2)
    ]
    digests = [image.path for image in images]
    whole = make_cut(images, digests, seed, {"train": 1000, "test": 1000})
    assert len(whole) == len(images)
    capped = make_cut(images, digests, seed, {"train": 30, "test": 12})
    assert set(Counter(row.group for row in capped).values()) == {2}
    assert {row.path: row.split for row in capped}.items() <= {row.path: row.split for row in whole}.items()
    assert Counter((row.label, row.split) for row in capped) == {
        ("a", "train"): 20,
        ("b", "train"): 10,
        ("a", "test"): 8,
        ("b", "test"): 4,
    }


def test_a_third_of_every_class_is_test_and_seeds_differ() -> None:
    images, digests = images_of([("a", 0, 0)] * 90 + [("b", 0, 0)] * 30)
    cuts = [make_cut(images, digests, seed) for seed in (0, 1, 2)]
    for rows in cuts:
        assert Counter((row.label, row.split) for row in rows) == {
            ("a", "train"): 60,
            ("a", "test"): 30,
            ("b", "train"): 20,
            ("b", "test"): 10,
        }
    assert len({tuple(row.path for row in rows if row.split == "test") for rows in cuts}) == 3


@pytest.fixture
def small_data(tmp_path: Path) -> Path:
    """`brain_mri_yesno` with eight small images, two of them equal."""
    data = tmp_path / "data"
    for label, shade in (("no", 20), ("yes", 200)):
        folder = data / "brain_mri_yesno" / label
        folder.mkdir(parents=True)
        for number in range(8):
            Picture.new("RGB", (60, 40), (shade, min(number, 6) * 9, 0)).save(folder / f"{number}.png")
    return data


def test_the_manifest_is_the_same_bytes_each_time_and_in_every_folder(small_data: Path, tmp_path: Path) -> None:
    first = prepare_cut(small_data, "brain_mri_yesno", 0, tmp_path / "one").read_bytes()
    assert first == prepare_cut(small_data, "brain_mri_yesno", 0, tmp_path / "one").read_bytes()
    assert first == prepare_cut(small_data, "brain_mri_yesno", 0, tmp_path / "two").read_bytes()


def test_the_images_of_a_manifest_are_byte_copies_below_it(small_data: Path, tmp_path: Path) -> None:
    manifest = prepare_cut(small_data, "brain_mri_yesno", 1, tmp_path / "work")
    rows = read_rows(manifest)
    assert len(rows) == 16
    for row in rows:
        assert (manifest.parent / row.path).read_bytes() == (small_data / "brain_mri_yesno" / row.path).read_bytes()


def test_an_enlarged_set_is_cut_alike_and_its_longer_side_has_1024_pixels(small_data: Path, tmp_path: Path) -> None:
    plain = read_rows(prepare_cut(small_data, "brain_mri_yesno", 0, tmp_path))
    manifest = prepare_cut(small_data, "brain_mri_yesno-1024", 0, tmp_path)
    large = read_rows(manifest)
    assert [(row.path + ".png", row.label, row.split) for row in plain] == [
        (row.path, row.label, row.split) for row in large
    ]
    with Picture.open(manifest.parent / large[0].path) as picture:
        assert (picture.format, picture.size) == ("PNG", (1024, 683))


def test_an_unknown_set_and_an_empty_folder_are_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="'brain' is no set; choose one of hymenoptera, brain_mri_yesno"):
        find_set("brain")
    with pytest.raises(PeerError, match="holds no images; --data names the folder that holds hymenoptera/"):
        list_images(tmp_path, SETS["hymenoptera"])


def test_the_real_sets_are_cut_by_their_groups_within_the_caps(shared_sets: Path, tmp_path: Path) -> None:
    classes = {}
    for name, image_set in SETS.items():
        manifests = [prepare_cut(shared_sets, name, seed, tmp_path) for seed in (0, 1, 2)]
        assert len({manifest.read_bytes() for manifest in manifests}) == 3
        rows = read_rows(manifests[0])
        counts = Counter(row.split for row in rows)
        assert all(0.9 * min(cap, counts[part]) <= counts[part] <= cap for part, cap in CAPS.items())
        classes[name] = len({row.label for row in rows})
        assert len({(row.label, row.split) for row in rows}) == 2 * classes[name]
        if image_set.group_column:
            with (shared_sets / image_set.folder / "metadata.csv").open(newline="") as file:
                groups = {row["file"]: row[image_set.group_column] for row in csv.DictReader(file)}
            sides: dict[str, set[str]] = {}
            for row in rows:
                sides.setdefault(groups[row.path], set()).add(row.split)
            assert all(len(side) == 1 for side in sides.values())
    assert classes == {
        "hymenoptera": 2,
        "brain_mri_yesno": 2,
        "bccd_wbc": 4,
        "chest_xray_pneumonia": 2,
        "wbc_augmented": 4,
    }
