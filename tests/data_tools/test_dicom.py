"""DICOM files are read by written rules, and nothing of a patient gets out."""

import logging
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.fuzzing import mutate
from data_tools import ImageError, Scaling, dicom, read_image
from data_tools.probing import probe_image

SECRET = "Doe^Jane^Secret"


def write_dicom(path: Path, values: np.ndarray, **tags: Any) -> Path:
    """A DICOM file of grey values or colours, with a patient's name in it."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = SecondaryCaptureImageStorage
    header.SOPInstanceUID = generate_uid()
    header.PatientName, header.PatientID = SECRET, "4711"
    frames = tags.get("NumberOfFrames", 1)
    header.Rows, header.Columns = values.shape[1:3] if frames > 1 else values.shape[:2]
    is_colour = values.shape[-1] == 3
    header.SamplesPerPixel = 3 if is_colour else 1
    header.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        header.PlanarConfiguration = 0
    header.BitsAllocated = header.BitsStored = 8 * values.dtype.itemsize
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(values.dtype.kind == "i")
    header.PixelData = values.tobytes()
    for name, value in tags.items():
        setattr(header, name, value)
    header.save_as(path, enforce_file_format=True)
    return path


RAMP = np.arange(0, 4096, 8, dtype=np.uint16).reshape(16, 32)


def levels(path: Path, scaling: Scaling | None = None) -> np.ndarray:
    pixels = read_image(path, scaling or Scaling())
    assert (pixels[..., 0] == pixels[..., 2]).all()
    return pixels[..., 0]


def test_stored_bits_declare_the_range(tmp_path: Path) -> None:
    assert (levels(write_dicom(tmp_path / "a.dcm", RAMP, BitsStored=12, HighBit=11)) == RAMP >> 4).all()


def test_monochrome1_is_inverted_last(tmp_path: Path) -> None:
    tags = {"BitsStored": 12, "HighBit": 11, "PhotometricInterpretation": "MONOCHROME1"}
    assert (levels(write_dicom(tmp_path / "a.dcm", RAMP, **tags)) == 255 - (RAMP >> 4)).all()


def test_a_window_is_applied_after_rescaling(tmp_path: Path) -> None:
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": [40, 500], "WindowWidth": [400, 1500]}
    path = write_dicom(tmp_path / "a.dcm", RAMP, **tags)
    units = RAMP.astype(float) - 1024
    # PS3.3 C.11.2.1.2.1, LINEAR
    share = (units - (40 - 0.5)) / (400 - 1) + 0.5
    assert (levels(path) == np.clip(np.floor(share * 256), 0, 255)).all()
    assert probe_image(path).remarks == ("DICOM; shown in its window, the first of 2 (centre 40, width 400, LINEAR)",)
    # A declared range goes before what the file wants, in units after rescaling: of CT, Hounsfield units.
    wide = np.clip(np.floor((units + 1000) / 1400 * 256), 0, 255)
    assert (levels(path, Scaling("range", -1000, 400)) == wide).all()


@pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID"])
def test_other_window_functions_follow_the_standard(tmp_path: Path, function: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, WindowCenter=1000, WindowWidth=500, VOILUTFunction=function)
    x = RAMP.astype(float)
    share = (x - 1000) / 500 + 0.5 if function == "LINEAR_EXACT" else 1 / (1 + np.exp(-4 * (x - 1000) / 500))
    assert (levels(path) == np.clip(np.floor(share * 256), 0, 255)).all()


def test_a_lookup_table_goes_before_windows(tmp_path: Path) -> None:
    from pydicom.dataset import Dataset

    table = Dataset()
    falling = 65535 - 16 * np.arange(4096)
    table.LUTDescriptor, table.LUTData = [4096, 0, 16], falling.astype("<u2").tobytes()
    path = write_dicom(
        tmp_path / "a.dcm", RAMP, BitsStored=12, HighBit=11, VOILUTSequence=[table], WindowCenter=1, WindowWidth=2
    )
    assert (levels(path) == (65535 - 16 * RAMP.astype(int)) >> 8).all()


def test_signed_values_keep_their_order(tmp_path: Path) -> None:
    values = (RAMP.astype(np.int16) - 2048) * 16
    assert (levels(write_dicom(tmp_path / "a.dcm", values)) == (values.astype(int) + 32768) >> 8).all()


def test_colours_and_frames(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    assert (read_image(write_dicom(tmp_path / "a.dcm", colours)) == colours).all()
    frames = np.stack([RAMP, RAMP[::-1]])
    path = write_dicom(tmp_path / "b.dcm", frames, NumberOfFrames=2, BitsStored=12, HighBit=11)
    assert (levels(path) == RAMP >> 4).all()
    assert "DICOM with 2 frames; the first is used" in probe_image(path).remarks


def test_a_wrong_name_is_told(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.png", RAMP)
    assert probe_image(path).remarks[0] == "is a DICOM file named .png; read by its content"


@pytest.mark.parametrize("cut", [0, 200, 400, 600, 800])
def test_nothing_of_a_patient_gets_out(tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, PatientComments=SECRET * 20)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - cut])
    with caplog.at_level(logging.DEBUG):
        probe = probe_image(path)
    assert bool(probe.reason) == bool(cut)
    assert "Secret" not in f"{probe}{caplog.text}"
    assert "4711" not in f"{probe.reason}{probe.remarks}{caplog.text}"


def test_a_syntax_that_runs_on_into_the_header_is_not_quoted(tmp_path: Path) -> None:
    content = write_dicom(tmp_path / "a.dcm", RAMP).read_bytes()
    place, name = content.index(b"\x02\x00\x10\x00UI") + 6, content.index(SECRET.encode())
    reasons = set()
    for length in range(20, name - place + 40, 2):
        path = tmp_path / f"{length}.dcm"
        path.write_bytes(content[:place] + length.to_bytes(2, "little") + content[place + 2 :])
        probe = probe_image(path)
        assert "Secret" not in f"{probe}"
        reasons.add(probe.reason)
    assert any("transfer syntax that is no UID" in reason for reason in reasons)


def test_a_broken_header_quotes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = write_dicom(tmp_path / "a.dcm", RAMP, PatientComments=SECRET * 20).read_bytes()
    dice, refused = random.Random(0), 0
    for number in range(600):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(mutate(content, dice))
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            warnings.filterwarnings("ignore", module=r"pydicom\.")  # as at import; pytest has taken it back
            probe = probe_image(path)
        assert "Secret" not in f"{probe}{[str(one.message) for one in warned]}"
        refused += bool(probe.reason)
    printed = capfd.readouterr()
    assert "Secret" not in printed.out + printed.err
    assert refused > 100


def test_a_file_without_pixels_names_its_syntax(tmp_path: Path) -> None:
    from pydicom import dcmread

    path = write_dicom(tmp_path / "a.dcm", RAMP)
    header = dcmread(path)
    del header.PixelData
    header.save_as(path)
    with pytest.raises(ImageError, match="without pixels .transfer syntax 1.2.840.10008.1.2.1 Explicit VR Little"):
        read_image(path)


def test_without_the_extra_its_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP)
    monkeypatch.setattr(dicom, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match=r"pip install 'tailtune\[dicom\]'"):
        read_image(path)
