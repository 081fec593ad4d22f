"""Grey values or colours of a DICOM file, through pydicom (the `dicom` extra).

The rules: modality LUT or rescaling first; then, where the recipe declares no range of its own, the VOI LUT or the
first window, else all values that the stored bits allow; MONOCHROME1 is inverted last. RGB, YBR and palette colours
become RGB; of several frames the first counts. Only what shapes pixels is read from a file's header:
no name, date or number of a patient enters this program.
"""

import logging
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_tools.errors import ImageError
from data_tools.formats import DECODER_FAULTS
from data_tools.scaling import Deep, Pixels, rescaled

# As for Pillow in data_tools/decoding.py; and what pydicom warns of, it quotes from the file.
warnings.filterwarnings("ignore", module=r"pydicom\.")

_UID = re.compile(r"[0-9.]{1,64}")
_PREAMBLE = 128
_MAGIC = b"DICM"
_FIRST_GROUPS = (b"\x02\0", b"\x08\0", b"\0\x08")
"""The group of the first tag: of the file's own header, or of the data in either byte order."""
_PACKAGES = ("pydicom", "python-gdcm", "pylibjpeg-openjpeg", "pyjpegls")
_PIXEL_TAGS = (
    "BitsAllocated",
    "BitsStored",
    "BluePaletteColorLookupTableData",
    "BluePaletteColorLookupTableDescriptor",
    "Columns",
    "DoubleFloatPixelData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "FloatPixelData",
    "GreenPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableDescriptor",
    "HighBit",
    "ModalityLUTSequence",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelData",
    "PixelRepresentation",
    "PlanarConfiguration",
    "RedPaletteColorLookupTableData",
    "RedPaletteColorLookupTableDescriptor",
    "RescaleIntercept",
    "RescaleSlope",
    "Rows",
    "SamplesPerPixel",
    "VOILUTFunction",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
)
_GREYS, _PALETTE = ("MONOCHROME1", "MONOCHROME2"), "PALETTE COLOR"
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


@dataclass(frozen=True, eq=False)
class DicomImage:
    """The first frame of a DICOM file."""

    image: Deep | Pixels
    """Grey values, or colours (height, width, 3)."""
    mode: str
    """The photometric interpretation and the bits stored."""
    remarks: tuple[str, ...]


def looks_like_dicom(content: bytes, suffix: str) -> bool:
    """Whether a file has DICOM's mark, or, for those without the preamble, its ending and a first tag of DICOM's."""
    if content[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC:
        return True
    return suffix.lower() in (".dcm", ".dicom") and content[:2] in _FIRST_GROUPS


@cache
def dicom_versions() -> dict[str, str | None]:
    """Versions of what decodes DICOM; None where it is not installed."""
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


def decode_dicom(content: bytes, check_size: Callable[[int, int], None]) -> DicomImage:
    """The first frame of a DICOM file. Raises ImageError with the reason alone, which holds nothing of a patient.

    Source: DICOM PS3.3 C.7.6.3 (pixels), C.11.1 (modality LUT), C.11.2 (VOI LUT and windows).
    """
    if find_spec("pydicom") is None:
        raise ImageError("is a DICOM file, which needs an extra: pip install 'tailtune[dicom]'")
    from pydicom import dcmread
    from pydicom.errors import BytesLengthException, InvalidDicomError

    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # what it warns of, it quotes from the file
    syntax = ""
    try:
        header = dcmread(BytesIO(content), force=True, specific_tags=list(_PIXEL_TAGS))
        syntax = _name_syntax(header)
        _check_header(header, check_size)
        return _read_frame(header)
    except ImageError:
        raise
    except (*DECODER_FAULTS, BytesLengthException, InvalidDicomError) as error:
        # The message of the error may quote what stands in the file, so its kind alone is told.
        kind = type(error).__name__
        raise ImageError(f"is a DICOM file that cannot be decoded ({kind}{syntax and f', {syntax}'})") from error


def _name_syntax(header: Any) -> str:
    """The transfer syntax for people; gives a file without one what its encoding says."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    meta = getattr(header, "file_meta", None)
    if meta is None:
        meta = header.file_meta = FileMetaDataset()
    if not meta.get("TransferSyntaxUID"):
        is_implicit, is_little = header.original_encoding
        explicit = ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
        meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else explicit
    uid = meta.TransferSyntaxUID
    if not _UID.fullmatch(uid):  # a broken length lets it run on into the rest of the header
        return "a transfer syntax that is no UID"
    return f"transfer syntax {uid} {uid.name if uid.name != uid else ''}".strip()


def _check_header(header: Any, check_size: Callable[[int, int], None]) -> None:
    if not any(name in header for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise ImageError(f"is a DICOM file without pixels ({_name_syntax(header)})")
    if "Rows" not in header or "Columns" not in header:
        raise ImageError("is a DICOM file that does not say how large its picture is")
    check_size(int(header.Columns), int(header.Rows))
    uid = header.file_meta.TransferSyntaxUID
    if not uid.is_transfer_syntax:
        raise ImageError(f"is a DICOM file that cannot be decoded ({_name_syntax(header)} is not known)")


def _read_frame(header: Any) -> DicomImage:
    from pydicom.pixels import apply_color_lut, pixel_array

    kind = str(header.PhotometricInterpretation)
    if kind not in (*_GREYS, *_COLOURS, _PALETTE):
        raise ImageError("is a DICOM file of a colour model that is not read")
    remarks = []
    if int(header.get("NumberOfFrames") or 1) > 1:
        remarks.append(f"DICOM with {int(header.NumberOfFrames)} frames; the first is used")
    values = pixel_array(header, index=0)
    mode = f"{kind} {int(header.get('BitsStored') or header.get('BitsAllocated'))}"
    if kind == _PALETTE:
        colours = apply_color_lut(values, header)
        return DicomImage(_high_bytes(colours[..., :3]), mode, tuple(remarks))
    if values.ndim == 3:
        if kind not in _COLOURS:
            raise ImageError(f"is a DICOM file that has several values a pixel, and says {kind}")
        return DicomImage(_high_bytes(values), mode, tuple(remarks))
    deep, how = _shown(_rescaled(_stored(values, header), header), header)
    return DicomImage(replace(deep, is_inverted=kind == "MONOCHROME1"), mode, (*remarks, *how))


def _high_bytes(colours: NDArray[Any]) -> Pixels:
    """Colours of 8 or 16 bits as levels."""
    if colours.dtype.itemsize > 2 or colours.dtype.kind != "u":
        raise ImageError(f"is a DICOM file with colours of a type that is not read ({colours.dtype})")
    return (colours >> np.uint16(8)).astype(np.uint8) if colours.dtype.itemsize == 2 else colours.astype(np.uint8)


def _stored(values: NDArray[Any], header: Any) -> Deep:
    """The values as they lie in the file, with the range of their bits."""
    if values.dtype.kind == "f":
        return Deep(values, is_whole=False)
    bits = int(header.BitsStored)
    is_signed = bool(header.get("PixelRepresentation"))
    least = -(2.0 ** (bits - 1)) if is_signed else 0.0
    return Deep(values, (least, least + 2.0**bits), is_whole=not is_signed)


def _rescaled(deep: Deep, header: Any) -> Deep:
    """The modality LUT, or slope and intercept."""
    if header.get("ModalityLUTSequence"):
        from pydicom.pixels import apply_modality_lut

        bits = int(header.ModalityLUTSequence[0].LUTDescriptor[2])
        values = apply_modality_lut(deep.values, header)
        return Deep(values, (0.0, 2.0**bits), is_whole=False)
    return rescaled(deep, float(header.get("RescaleSlope", 1) or 1), float(header.get("RescaleIntercept", 0) or 0))


def _shown(deep: Deep, header: Any) -> tuple[Deep, tuple[str, ...]]:
    """The values as the file wants them seen, where it says so, and how."""
    if header.get("VOILUTSequence"):
        from pydicom.pixels import apply_voi

        table = header.VOILUTSequence[0]
        values = apply_voi(deep.values, header)
        return replace(deep, shown=(values, 0.0, 2.0 ** int(table.LUTDescriptor[2]))), ("DICOM; shown by its VOI LUT",)
    centers, widths = _numbers(header.get("WindowCenter")), _numbers(header.get("WindowWidth"))
    if not centers or not widths or widths[0] <= 0:
        return deep, ()
    center, width = centers[0], widths[0]
    function = str(header.get("VOILUTFunction") or "")
    function = function if function in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"
    of_many = f", the first of {len(centers)}" if len(centers) > 1 else ""
    how = (f"DICOM; shown in its window{of_many} (centre {center:g}, width {width:g}, {function})",)
    if function == "SIGMOID":
        curve = 1 / (1 + np.exp(-4 * (deep.values.astype(np.float64) - center) / width))
        return replace(deep, shown=(curve, 0.0, 1.0)), how
    if function != "LINEAR_EXACT":
        center, width = center - 0.5, max(width - 1, 1e-6)
    return replace(deep, shown=(deep.values, center - width / 2, center + width / 2)), how


def _numbers(value: Any) -> list[float]:
    """One number or several, as DICOM has them, as a list."""
    if value is None or value == "":
        return []
    return [float(one) for one in (value if isinstance(value, Iterable) else [value])]
