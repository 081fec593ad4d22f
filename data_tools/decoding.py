"""Decode one image file into the same RGB pixels for everyone, or say why not.

The rules: the format is found from the content, within FORMATS and DICOM; the file is verified and opened again,
where its format has something to verify, and loaded in full; the pixel limit is applied to the header, before memory
is taken; the EXIF orientation is applied once; the first frame or page counts; deep grey values (16-bit, 32-bit,
float) become levels as data_tools/scaling.py says, 16-bit colour keeps its high bytes; palettes and transparency are
composited on white; CMYK and YCbCr go through Pillow's conversion, LAB is refused; colour profiles are not applied.
"""

import stat
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError, features
from PIL import __version__ as pillow_version

from data_tools.arrays import rgb_array
from data_tools.dicom import decode_dicom, dicom_versions, looks_like_dicom
from data_tools.errors import ImageError
from data_tools.formats import DECODER_FAULTS, DICOM, FORMAT_OF_SUFFIX, FORMATS, explain_unknown
from data_tools.remarks import is_transparent, tell_remarks
from data_tools.scaling import BITS, Deep, Pixels, Scaling, to_levels

# Pillow warns of what is judged here. Once for all: a filter that is set and taken back is not safe among threads.
warnings.filterwarnings("ignore", module=r"PIL\.")

DECODING_RULES = 2
"""Part of the key of all that is kept of decoded images; rises with any change of this module that changes a pixel,
a remark, or what is refused."""
MAX_PIXELS = 64_000_000
MAX_BYTES = 1_000_000_000

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112
_BITS_PER_SAMPLE_TAG = 258
_PHOTOMETRIC_TAG = 262
_WHITE_IS_ZERO = 0

_DECODERS = ("libjpeg_turbo", "jpg", "jpg_2000", "zlib", "zlib_ng", "libtiff", "webp", "avif")


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image, and what its file was found to be."""

    pixels: Pixels
    """uint8 (height, width, 3). Of deep values by the scaling, or, while that is open, from least to largest."""
    mode: str
    format: str
    remarks: tuple[str, ...]
    quantiles: tuple[float, ...] = ()
    """Of deep values, evenly spaced from the least to the largest; empty for 8-bit images."""


def read_image(path: Path, scaling: Scaling = BITS) -> Pixels:
    """The pixels of an image file, uint8 (height, width, 3). Raises ImageError with the reason alone."""
    return decode_content(read_content(path), path.suffix, scaling).pixels


def decoder_versions() -> dict[str, str | None]:
    """Versions of Pillow, pydicom and the libraries that they decode with; another one may give other pixels."""
    return {
        "pillow": pillow_version,
        **{name: features.version(name) for name in _DECODERS},
        **dicom_versions(),
    }


def read_content(path: Path) -> bytes:
    """The bytes of an image file. Raises ImageError with the reason alone."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("is not a regular file")
        if status.st_size > MAX_BYTES:
            raise ImageError(f"is {status.st_size:,} bytes long; the limit is {MAX_BYTES:,}")
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be opened: {error.strerror or error}") from error
    if not content:
        raise ImageError("file is empty (0 bytes)")
    return content


def decode_content(content: bytes, suffix: str, scaling: Scaling = BITS) -> Decoded:
    """Decode the bytes of a file whose name ends in `suffix`. Raises ImageError with the reason alone."""
    if looks_like_dicom(content, suffix):
        return _decode_dicom(content, suffix, scaling)
    try:
        with _open_verified(content) as image:
            file_format = "JPEG" if image.format == "MPO" else str(image.format)
            is_animated = hasattr(image, "is_animated") and _is_animated(content)
            image.load()
            deep = _deep(image, content)
            remarks = tell_remarks(image, content, file_format, suffix, is_animated)
            found = _to_rgb(image) if deep is None else deep
            told, orientation = (image.mode, file_format, remarks), _orientation(image)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(explain_unknown(content, suffix)) from error
    except DECODER_FAULTS as error:
        text = " ".join(str(error).split())[:120] or type(error).__name__
        raise ImageError(f"cannot be decoded: {text}") from error
    return _finish(found, orientation, scaling, told)


def check_size(width: int, height: int) -> None:
    """Refuse an image without pixels, or with more than MAX_PIXELS, before memory is taken for them."""
    if width < 1 or height < 1:
        raise ImageError(f"has no pixels ({width}x{height})")
    if width * height > MAX_PIXELS:
        raise ImageError(f"is {width}x{height} pixels; the limit is {MAX_PIXELS:,} pixels")


def _decode_dicom(content: bytes, suffix: str, scaling: Scaling) -> Decoded:
    found = decode_dicom(content, check_size)
    image = found.image if isinstance(found.image, Deep) else Image.fromarray(found.image)
    remarks = found.remarks
    if FORMAT_OF_SUFFIX.get(suffix.lower()) != DICOM:
        remarks = (f"is a DICOM file named {suffix or 'without an ending'}; read by its content", *remarks)
    return _finish(image, 1, scaling, (found.mode, DICOM, remarks))


def _finish(
    image: Image.Image | Deep, orientation: int, scaling: Scaling, told: tuple[str, str, tuple[str, ...]]
) -> Decoded:
    """Scale deep values, turn the image upright, and make three channels of it."""
    quantiles: tuple[float, ...] = ()
    if isinstance(image, Deep):
        quantiles = image.quantiles
        told = (*told[:2], (*told[2], *_tell_bits(image, quantiles)))
        image = Image.fromarray(to_levels(image, scaling)).convert("RGB")
    upright = image.transpose(_TRANSPOSES[orientation]) if orientation in _TRANSPOSES else image
    return Decoded(rgb_array(upright), *told, quantiles)


def _is_animated(content: bytes) -> bool:
    """Whether there is more than one frame; opened for that alone, since counting frames moves among them."""
    with _open(content) as image:
        return bool(getattr(image, "is_animated", False))


def _open_verified(content: bytes) -> Image.Image:
    """Open an image after verifying it, which closes it; where its format has nothing to verify, it stays open."""
    image = _open(content)
    check_size(*image.size)
    if type(image).verify is not ImageFile.ImageFile.verify:
        with image:
            image.verify()
        image = _open(content)
    return image


def _open(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content), formats=FORMATS)


def _deep(image: Image.Image, content: bytes) -> Deep | None:
    """The values of an image of more than 256 levels; None for others."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return None
    tags = getattr(image, "tag_v2", {})
    is_inverted = image.format == "TIFF" and tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO
    if image.mode.startswith("I;16"):
        values: NDArray[Any] = np.asarray(image, dtype=np.uint16)
        return Deep(values, (0.0, float(2 ** _declared_bits(image, content))), is_inverted=is_inverted)
    is_scaled = image.format == "PPM" and image.mode == "I"  # Pillow stretches a graymap's values to 16 bits
    return Deep(np.asarray(image), (0.0, 65536.0) if is_scaled else None, is_inverted=is_inverted, is_whole=is_scaled)


def _tell_bits(deep: Deep, quantiles: tuple[float, ...]) -> tuple[str, ...]:
    """A remark where whole values use no more than a sixteenth of the range that is declared, as 12 bits in 16 do."""
    if deep.declared is None or not deep.is_whole or quantiles[-1] * 16 >= deep.declared[1]:
        return ()
    bits = max(9, int(quantiles[-1]).bit_length())
    return (f"its values stay below {2**bits:,}; if that is their range: --set data.bits_stored={bits}",)


def _declared_bits(image: Image.Image, content: bytes) -> int:
    """How many bits of a 16-bit image count: by TIFF's bits per sample, by PNG's significant bits."""
    if image.format == "TIFF":
        declared = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE_TAG, (16,))
        return max(1, min(16, int(declared[0] if isinstance(declared, tuple) else declared)))
    place = content.find(b"sBIT", 0, 4096) if image.format == "PNG" else -1
    if place >= 0 and content[place - 4 : place] == b"\0\0\0\1" and 8 < content[place + 4] <= 16:
        return content[place + 4]
    return 16


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "LAB":
        raise ImageError("LAB colours are not read; convert it to RGB")
    if image.mode == "P" or is_transparent(image):
        layered = image.convert("RGBA")
        paper = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, layered).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or it makes no sense."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except DECODER_FAULTS:
        return 1
    return orientation if isinstance(orientation, int) and orientation in _TRANSPOSES else 1
