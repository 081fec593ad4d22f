"""An image is decoded once; kept or not, the same pixels and probes come out."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data_tools import (
    DatasetSettings,
    ImageError,
    Keeping,
    PixelStore,
    Preprocessing,
    decoding,
    evaluation_geometry,
    prepare_dataset,
    probing,
    read_image,
    thumbnail_geometry,
    training_geometry,
)
from data_tools.geometry import Geometry, whole_geometry
from data_tools.probing import probe_images

LOOK = Preprocessing(32, 32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "bicubic", 0.875)
GEOMETRIES = (training_geometry("standard", LOOK), evaluation_geometry(LOOK), thumbnail_geometry())
SIZES = [(12, 10), (71, 90), (72, 72), (73, 80), (300, 200), (5, 400)]


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every image that is decoded in this process."""
    seen: list[int] = []
    convert = decoding._to_rgb

    def counted(image: Image.Image) -> Image.Image:
        seen.append(1)
        return convert(image)

    monkeypatch.setattr(decoding, "_to_rgb", counted)
    return seen


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Colour and grey, smaller and larger than any geometry, two files alike, one under a wrong name."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, (width, height) in enumerate(SIZES):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        Image.fromarray(pixels[..., 0]).save(folder / f"{number}-grey.jpg")
    shutil.copy(folder / "4.png", folder / "again.png")
    shutil.copy(folder / "4.png", folder / "wrong.jpg")
    return sorted(folder.iterdir())


def open_keeping(tmp_path: Path, budget: int = 10**7) -> Keeping:
    return Keeping(PixelStore(tmp_path / "pixels", budget), GEOMETRIES)


def check_all(keeping: Keeping, paths: list[Path], geometries: tuple[Geometry, ...] = GEOMETRIES) -> None:
    for path, probe in zip(paths, probe_images(paths), strict=True):
        for geometry in geometries:
            found = keeping.pixels(path, probe.sha256, geometry)
            expected = geometry(read_image(path))
            assert found.shape == expected.shape
            assert (found == expected).all()


@pytest.fixture(params=["roomy", "half full"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether large images are kept whole."""
    if request.param == "half full":
        monkeypatch.setattr(PixelStore, "is_roomy", lambda *_: False)
    return str(request.param)


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_was_scanned_is_not_decoded_again(
    tmp_path: Path, pictures: list[Path], decodes: list[int], workers: int
) -> None:
    expected = [geometry(read_image(path)) for path in pictures for geometry in GEOMETRIES]
    plain = probe_images(pictures)
    decodes.clear()
    probes = probe_images(pictures, workers=workers, keeping=open_keeping(tmp_path))
    assert probes == plain
    assert len(decodes) in ((len(pictures) - 1,) if workers == 0 else (len(pictures) - 1, len(pictures)))
    decodes.clear()
    later = open_keeping(tmp_path)
    assert probe_images(pictures, workers=workers, keeping=later) == plain
    found = [
        later.pixels(path, probe.sha256, geometry)
        for path, probe in zip(pictures, probes, strict=True)
        for geometry in GEOMETRIES
    ]
    assert not decodes
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_small_images_are_kept_whole_and_serve_every_size(
    tmp_path: Path, pictures: list[Path], decodes: list[int]
) -> None:
    small = [path for path in pictures if min(read_image(path).shape[:2]) <= GEOMETRIES[0].leaves]
    assert 6 < len(small) < len(pictures)
    keeping = open_keeping(tmp_path)
    digests = [probe.sha256 for probe in probe_images(small, keeping=keeping)]
    decodes.clear()
    other = evaluation_geometry(replace(LOOK, height=24, width=24))
    for path, digest in zip(small, digests, strict=True):
        keeping.pixels(path, digest, other)
    assert not decodes
    check_all(keeping, small, (other,))


@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("mean", [(0.5, 0.5, 0.5), (0.2, 0.5, 0.8)])
def test_one_channel_of_a_grey_image_goes_through_a_geometry_as_three_do(
    pictures: list[Path], crop_mode: str, mean: tuple[float, float, float]
) -> None:
    look = replace(LOOK, crop_mode=crop_mode, mean=mean, crop_pct=1.0)
    grey = [read_image(path) for path in pictures if path.name.endswith("-grey.jpg")]
    assert len(grey) == len(SIZES)
    for geometry in (training_geometry("light", look), evaluation_geometry(look), thumbnail_geometry()):
        for pixels in grey:
            assert (geometry(pixels[:, :, :1]) == geometry(pixels)).all()
            assert geometry(pixels).shape[2] == 3


@pytest.mark.parametrize("workers", [2, 3])
def test_processes_probe_and_keep_as_threads_do(
    tmp_path: Path, pictures: list[Path], decodes: list[int], monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    plain, expected = probe_images(pictures), [read_image(path) for path in pictures]
    monkeypatch.setattr(probing, "_MANY", 1)
    monkeypatch.setattr(probing, "_CHUNK", 2)
    monkeypatch.setattr(probing, "_AHEAD", 1)
    keeping = open_keeping(tmp_path)
    decodes.clear()
    assert probe_images(pictures, workers=workers, keeping=keeping) == plain
    assert 0 < len(decodes) < len(pictures)  # the others were decoded by other processes
    decodes.clear()
    for path, probe, pixels in zip(pictures, plain, expected, strict=True):
        assert np.array_equal(keeping.pixels(path, probe.sha256, GEOMETRIES[1]), GEOMETRIES[1](pixels))
    assert not decodes
    monkeypatch.undo()
    assert probe_images(pictures, workers=workers) == plain


def test_an_interruption_ends_the_processes(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(items: Iterable[Any], *_: Any) -> Iterator[Any]:
        yield next(iter(items))
        raise KeyboardInterrupt

    monkeypatch.setattr(probing, "_MANY", 1)
    monkeypatch.setattr(probing, "_CHUNK", 1)
    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        probe_images(pictures * 5000, workers=2, track=interrupted)
    assert time.perf_counter() - started < 20
    monkeypatch.undo()
    assert len(probe_images(pictures, workers=2)) == len(pictures)


def kept_files(tmp_path: Path) -> dict[Path, int]:
    return {file: file.stat().st_size for file in (tmp_path / "pixels").rglob("*") if file.is_file()}


def test_what_is_kept_is_all_that_will_be(tmp_path: Path, pictures: list[Path], room: str) -> None:
    """Past half the room after the scan, so the bytes can be told before a run; else once all was asked for."""
    keeping = Keeping(PixelStore(tmp_path / "pixels", 10**8), GEOMETRIES)
    probes, held = probe_images(pictures, keeping=keeping), dict[Path, int]()
    for turn in range(3):
        for path, probe in zip(pictures, probes, strict=True):
            for geometry in GEOMETRIES:
                keeping.pixels(path, probe.sha256, geometry)
        assert turn == 0 or held == kept_files(tmp_path)
        held = kept_files(tmp_path)
    told = {
        probe.sha256: keeping.kept_bytes(probe.sha256, path.suffix)
        for path, probe in zip(pictures, probes, strict=True)
    }
    assert sum(size for file, size in held.items() if file.suffix != ".json") >= sum(told.values())
    whole = keeping.store.size(whole_geometry(), probes[pictures.index(pictures[0].with_name("4.png"))].sha256)
    assert (whole > 0) == (room == "roomy")


def test_grey_images_take_a_third(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([pixels, pixels, pixels])).save(tmp_path / "same.png")
    keeping = open_keeping(tmp_path)
    probes = probe_images([tmp_path / "grey.png", tmp_path / "same.png"], keeping=keeping)
    assert all(3600 < keeping.store.size(whole_geometry(), probe.sha256) < 3700 for probe in probes)


def test_one_coloured_pixel_makes_an_image_colour(tmp_path: Path) -> None:
    pixels = np.full((60, 60, 3), 90, dtype=np.uint8)
    pixels[37, 21, 2] = 91
    Image.fromarray(pixels).save(tmp_path / "tinted.png")
    check_all(open_keeping(tmp_path), [tmp_path / "tinted.png"] * 2)


@pytest.mark.parametrize("state", ["no budget", "small budget", "damaged", "emptied", "not writable"])
def test_the_state_of_the_store_changes_no_pixel_and_no_probe(tmp_path: Path, pictures: list[Path], state: str) -> None:
    plain = probe_images(pictures)
    keeping = open_keeping(tmp_path, {"no budget": 0, "small budget": 50_000}.get(state, 10**7))
    if state == "not writable":
        (tmp_path / "pixels").touch()
    assert probe_images(pictures, keeping=keeping) == plain
    for path in (tmp_path / "pixels").glob("*/*.pack"):
        if state == "damaged":
            path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    if state == "emptied":
        shutil.rmtree(tmp_path / "pixels")
    check_all(keeping, pictures)
    assert probe_images(pictures, keeping=keeping) == plain
    check_all(keeping, pictures)


def test_what_is_decoded_for_want_of_room_is_kept_when_there_is_some(
    tmp_path: Path, pictures: list[Path], decodes: list[int]
) -> None:
    keeping = open_keeping(tmp_path)
    large, small = pictures[SIZES.index((300, 200)) * 2], pictures[0]
    assert min(read_image(large).shape[:2]) > GEOMETRIES[0].leaves >= min(read_image(small).shape[:2])
    for path, expected in ((large, 3), (small, 1)):
        (probe,) = probe_images([path])
        decodes.clear()
        for geometry in GEOMETRIES * 2:
            keeping.pixels(path, probe.sha256, geometry)
        assert len(decodes) == expected


def test_pixels_are_those_of_the_digest_whatever_became_of_the_file(tmp_path: Path, pictures: list[Path]) -> None:
    path, other = pictures[0], pictures[-1]
    keeping, empty = open_keeping(tmp_path), open_keeping(tmp_path / "none")
    (probe,) = probe_images([path], keeping=keeping)
    expected = [geometry(read_image(path)) for geometry in GEOMETRIES]
    shutil.copy(other, path)
    with pytest.raises(ImageError, match="has changed"):
        empty.pixels(path, probe.sha256, GEOMETRIES[0])
    path.unlink()
    with pytest.raises(ImageError, match="No such file"):
        empty.pixels(path, probe.sha256, GEOMETRIES[0])
    for geometry, pixels in zip(GEOMETRIES, expected, strict=True):
        assert np.array_equal(keeping.pixels(path, probe.sha256, geometry), pixels)


def test_files_that_cannot_be_decoded_are_tried_each_time(tmp_path: Path, decodes: list[int]) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    keeping = open_keeping(tmp_path)
    for _ in range(2):
        (probe,) = probe_images([broken], keeping=keeping)
        assert "none of the formats" in probe.reason
    assert not (tmp_path / "pixels").exists()


def test_a_dataset_is_the_same_with_pixels_kept_or_not(
    make_folder: Callable[[dict[str, int]], Path], tmp_path: Path, decodes: list[int]
) -> None:
    folder = make_folder({"cat": 9, "dog": 9})
    (folder / "cat/bad.jpg").write_bytes(b"bad")
    shutil.copy(folder / "cat/1.png", folder / "dog/odd.jpg")
    plain = prepare_dataset(folder, DatasetSettings())
    for workers in (0, 2, 1):
        kept = prepare_dataset(folder, DatasetSettings(), workers=workers, keeping=open_keeping(tmp_path))
        assert kept.table.equals(plain.table)
        assert kept.findings.equals(plain.findings)
    assert len(decodes) == 38


def test_geometries_of_other_rules_have_other_keys() -> None:
    looks = [LOOK, replace(LOOK, height=48), replace(LOOK, crop_pct=1.0), replace(LOOK, interpolation="bilinear")]
    keys = [evaluation_geometry(look).key for look in looks]
    keys += [training_geometry("standard", LOOK).key, training_geometry("light", LOOK).key, thumbnail_geometry().key]
    assert len(set(keys)) == 7
    assert evaluation_geometry(replace(LOOK, mean=(0.1, 0.1, 0.1))) == evaluation_geometry(LOOK)
    border = replace(LOOK, crop_mode="border")
    assert evaluation_geometry(replace(border, mean=(0.1, 0.1, 0.1))).key != evaluation_geometry(border).key
    assert training_geometry("none", LOOK) == evaluation_geometry(LOOK)


def test_training_pixels_are_shrunk_only_where_it_pays() -> None:
    geometry = training_geometry("standard", LOOK)
    for side, expected in ((58, 58), (72, 72), (73, 58), (900, 58)):
        pixels = np.zeros((side, 2 * side, 3), dtype=np.uint8)
        assert geometry(pixels).shape == (expected, 2 * expected, 3)
