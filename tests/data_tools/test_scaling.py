"""Deep values become levels by a declared rule, the same whatever the file format."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, PngImagePlugin

from data_tools import (
    DataError,
    DatasetSettings,
    ImageError,
    Keeping,
    PixelStore,
    Preprocessing,
    Scaling,
    build_evaluation_pipeline,
    evaluation_geometry,
    prepare_dataset,
    read_image,
)
from data_tools.probing import probe_image
from data_tools.scaling import BITS, Deep, to_levels
from tests.data_tools.test_dicom import write_dicom

VALUES = np.linspace(0, 65535, 40 * 30).astype(np.uint16).reshape(30, 40)
LOOK = Preprocessing(24, 24, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def save(path: Path, values: np.ndarray, **options: object) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


def tensor(path: Path, scaling: Scaling) -> np.ndarray:
    return build_evaluation_pipeline(LOOK)(read_image(path, scaling), 0)


def test_one_picture_in_five_formats_leads_to_one_tensor(tmp_path: Path) -> None:
    files = [
        save(tmp_path / "a.png", VALUES),
        save(tmp_path / "a.tif", VALUES),
        save(tmp_path / "float.tif", VALUES.astype(np.float32)),
        write_dicom(tmp_path / "a.dcm", VALUES),
    ]
    whole = Scaling("range", 0, 65536)
    wanted = tensor(files[0], BITS)
    for path in files:
        assert (tensor(path, whole) == wanted).all(), path.name
    for path in (files[1], files[3]):
        assert (tensor(path, BITS) == wanted).all(), path.name
    # Of values from 0 to 1 the last bit differs, so a level may: one of 256, over a standard deviation of 0.2.
    shares = save(tmp_path / "shares.tif", (VALUES / 65535).astype(np.float32))
    assert np.abs(tensor(shares, Scaling("range", 0, 1)) - wanted).max() <= 1 / 255 / 0.2 + 1e-6
    eight = save(tmp_path / "eight.png", (VALUES >> 8).astype(np.uint8))
    assert (tensor(eight, BITS) == wanted).all()


@given(arrays.arrays(np.uint16, (4, 5)), st.integers(9, 16))
def test_bits_keep_the_high_byte(values: np.ndarray, bits: int) -> None:
    low = values >> np.uint16(16 - bits)
    deep = Deep(low, (0.0, 2.0**bits))
    assert (to_levels(deep, BITS) == values >> np.uint16(8)).all()
    assert (to_levels(Deep(low, (0.0, 65536.0)), Scaling(bits=bits)) == values >> np.uint16(8)).all()


@given(
    arrays.arrays(np.float32, 20, elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
)
def test_a_range_keeps_the_order_of_values(values: np.ndarray, low: float, span: float) -> None:
    levels = to_levels(Deep(np.sort(values).reshape(4, 5), is_whole=False), Scaling("range", low, low + span))
    assert (np.diff(levels.reshape(-1).astype(int)) >= 0).all()
    assert (levels[np.sort(values).reshape(4, 5).astype(np.float64) <= low] == 0).all()


def test_significant_bits_of_a_png_are_believed(tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"sBIT", b"\x0c")
    twelve = VALUES >> 4
    assert (read_image(save(tmp_path / "a.png", twelve, pnginfo=chunks))[..., 0] == VALUES >> 8).all()
    plain = save(tmp_path / "b.png", twelve)
    assert read_image(plain).max() == 15
    assert (read_image(plain, Scaling(bits=12))[..., 0] == VALUES >> 8).all()
    assert "stay below 4,096" in " ".join(probe_image(plain).remarks)


def test_white_that_is_zero_is_turned_round(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", VALUES, tiffinfo={262: 0})
    assert (read_image(path)[..., 0] == 255 - (VALUES >> 8)).all()


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_values_without_a_declared_range_are_refused_with_the_remedy(tmp_path: Path, kind: type) -> None:
    path = save(tmp_path / "a.tif", np.array([[-5, 3], [10, 7]], dtype=kind))
    with pytest.raises(ImageError, match=r"-5 to 10\) have no declared range; .* 'data.scaling_range=\[-5, 10\]'"):
        read_image(path)
    assert read_image(path, Scaling("range", -5, 10))[..., 0].tolist() == [[0, 136], [255, 204]]


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.array([[np.nan, 1.0]], dtype=np.float32))
    assert "no finite numbers" in probe_image(path, scaling=Scaling("range", 0, 1)).reason


@pytest.mark.parametrize(("rule", "low", "high"), [("range", 2, 1), ("range", 1, 1), ("percentiles", -1, 50)])
def test_bounds_that_are_none_are_refused(rule: str, low: float, high: float) -> None:
    with pytest.raises(DataError, match=r"data\.scaling"):
        Scaling(rule, low, high)  # type: ignore[arg-type]


def deep_folder(folder: Path) -> Path:
    """Two classes of 12-bit pictures, those of the test part much brighter."""
    generator = np.random.default_rng(0)
    for split, most in (("train", 1000), ("val", 1000), ("test", 4000)):
        for label in "ab":
            for number in range(3):
                values = generator.integers(0, most, (20, 20)).astype(np.uint16)
                (folder / split / label).mkdir(parents=True, exist_ok=True)
                save(folder / split / label / f"{number}.png", values)
    return folder


def test_percentiles_are_those_of_the_training_part_alone(tmp_path: Path) -> None:
    folder = deep_folder(tmp_path / "data")
    dataset = prepare_dataset(folder, DatasetSettings(scaling=Scaling("percentiles", 0, 100)))
    assert dataset.scaling.rule == "range"
    assert dataset.scaling.low is not None
    assert dataset.scaling.high is not None
    assert 0 <= dataset.scaling.low < 10
    assert 980 < dataset.scaling.high < 1000
    told = dataset.findings[dataset.findings["check"] == "scaling"]["detail"].item()
    assert told.startswith("18 images of 16-bit or float values, 0 to 39")
    assert "(percentiles 0 and 100 of the training images)" in told


def test_pixels_are_kept_apart_by_scaling(tmp_path: Path) -> None:
    folder = deep_folder(tmp_path / "data")
    store = PixelStore(tmp_path / "store", 10**8)
    geometry = evaluation_geometry(LOOK)
    for scaling in (BITS, Scaling("range", 0, 4096), Scaling("percentiles", 1, 99)):
        keeping = Keeping(store, (geometry,), scaling)
        dataset = prepare_dataset(folder, DatasetSettings(scaling=scaling), keeping=keeping)
        row = dataset.table.iloc[0]
        path = dataset.root / row["path"]
        for settled in (keeping.settled(dataset.scaling), keeping.settled(dataset.scaling)):
            pixels = settled.pixels(path, row["sha256"], geometry)
            assert (pixels == geometry(read_image(path, dataset.scaling))).all(), scaling


def test_a_file_that_one_scaling_refuses_is_not_remembered_as_good(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.array([[0.0, 0.5], [1.0, 0.2]], dtype=np.float32))
    store = PixelStore(tmp_path / "store", 10**8)
    for geometries in ((evaluation_geometry(LOOK),), ()):
        ranged = Keeping(store, geometries, Scaling("range", 0, 1))
        assert not probe_image(path, scaling=ranged.scaling, keeping=ranged).reason
        assert "no declared range" in probe_image(path, keeping=Keeping(store, geometries)).reason
