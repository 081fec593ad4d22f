"""Decode one image file into the same RGB pixels for everyone, or say why not.

The rules: the format is found from the content, within FORMATS; the file is verified, opened again and
loaded in full; the pixel limit is applied to the header, before memory is taken; the EXIF orientation is
applied once; the first frame or page counts; 16-bit values keep the high 8 of their declared bits (as
Pillow does for 16-bit colour); palettes and transparency are composited on white; CMYK and YCbCr go
through Pillow's conversion; float, 32-bit integer and LAB pixels have no declared range and are refused.
"""

import stat
import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, features
from PIL import __version__ as pillow_version

from data_tools.errors import ImageError

Pixels = NDArray[np.uint8]

DECODING_RULES = 1
"""Part of the key of all that is kept of decoded images; rises with any change of this module that changes a pixel,
a remark, or what is refused."""
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
MAX_PIXELS = 64_000_000
MAX_BYTES = 1_000_000_000
FORMAT_OF_SUFFIX = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
FOREIGN_SUFFIXES = (".avif", ".heic", ".heif", ".dcm", ".dicom", ".jp2", ".jxl")

_DECODER_FAULTS = (
    OSError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    SyntaxError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's decoders were seen to raise on broken files."""
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


_DECODERS = ("libjpeg_turbo", "jpg", "zlib", "zlib_ng", "libtiff", "webp")


@dataclass(frozen=True)
class Decoded:
    """An image, and what its file was found to be."""

    pixels: Pixels
    mode: str
    format: str
    remarks: tuple[str, ...]


def read_image(path: Path) -> Pixels:
    """The pixels of an image file, uint8 (height, width, 3). Raises ImageError with the reason alone."""
    return decode_content(read_content(path), path.suffix).pixels


def decoder_versions() -> dict[str, str | None]:
    """Versions of Pillow and of the libraries that it decodes with; another one may give other pixels."""
    return {"pillow": pillow_version, **{name: features.version(name) for name in _DECODERS}}


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


def decode_content(content: bytes, suffix: str) -> Decoded:
    """Decode the bytes of a file whose name ends in `suffix`. Raises ImageError with the reason alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of what is judged here
        try:
            with _open(content) as image:
                _check_size(image)
                image.verify()
            with _open(content) as image:
                frames = "more than one" if getattr(image, "is_animated", False) else ""
                file_format = "JPEG" if image.format == "MPO" else str(image.format)
            with _open(content) as image:
                image.load()
                mode = image.mode
                remarks = _remarks(image, file_format, suffix, frames)
                pixels = np.asarray(_turn(_to_rgb(image), image), dtype=np.uint8)
        except ImageError:
            raise
        except UnidentifiedImageError as error:
            raise ImageError(_explain_unknown(content, suffix)) from error
        except _DECODER_FAULTS as error:
            text = " ".join(str(error).split())[:120] or type(error).__name__
            raise ImageError(f"cannot be decoded: {text}") from error
    return Decoded(pixels, mode, file_format, remarks)


def _open(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content), formats=FORMATS)


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"has no pixels ({width}x{height})")
    if width * height > MAX_PIXELS:
        raise ImageError(f"is {width}x{height} pixels; the limit is {MAX_PIXELS:,} pixels")


def _explain_unknown(content: bytes, suffix: str) -> str:
    start = content[:512].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not an image; fetch it with: git lfs pull"
    if start.startswith((b"<!doctype html", b"<html")):
        return "is a web page saved under an image name; download the image again"
    if not content.strip(b"\0"):
        return "holds only zero bytes"
    if suffix.lower() in FOREIGN_SUFFIXES:
        return f"{suffix.lower()} files are not read; convert it to PNG or JPEG"
    return f"is none of the formats that are read ({', '.join(FORMATS)}), or its header is broken"


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray(_high_byte(image)).convert("RGB")
    if image.mode in ("I", "F", "LAB"):
        raise ImageError(f"pixels of mode {image.mode} have no declared range; save it as 8- or 16-bit")
    if image.mode == "P" or _is_transparent(image):
        layered = image.convert("RGBA")
        paper = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, layered).convert("RGB")
    return image.convert("RGB")


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _high_byte(image: Image.Image) -> Pixels:
    bits = 16
    if image.format == "TIFF":
        declared = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE_TAG, (16,))
        bits = int(declared[0] if isinstance(declared, tuple) else declared)
    wide: NDArray[np.uint16] = np.asarray(image, dtype=np.uint16)
    values = wide >> np.uint16(max(bits - 8, 0))
    return values.clip(0, 255).astype(np.uint8)


def _turn(pixels: Image.Image, image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODER_FAULTS:
        return pixels  # broken EXIF counts as upright
    if not isinstance(orientation, int) or orientation not in _TRANSPOSES:
        return pixels
    return pixels.transpose(_TRANSPOSES[orientation])


def _remarks(image: Image.Image, file_format: str, suffix: str, frames: str) -> tuple[str, ...]:
    remarks = []
    expected = FORMAT_OF_SUFFIX.get(suffix.lower())
    if expected != file_format:
        remarks.append(f"is a {file_format} file named {suffix}; read by its content")
    if frames:
        remarks.append(f"{file_format} with {frames} frame or page; the first is used")
    if _is_transparent(image):
        remarks.append("has an alpha channel; composited on white")
    return tuple(remarks)
