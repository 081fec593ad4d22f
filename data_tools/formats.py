"""Which kinds of image files are read, by what name they go, and what to say of the others."""

import struct
import zlib

from PIL import Image, features

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""Pillow's names; the format is found from the content. DICOM is read beside them (data_tools/dicom.py)."""
DICOM = "DICOM"
FORMAT_OF_SUFFIX = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".mpo": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".pbm": "PPM",
    ".pgm": "PPM",
    ".ppm": "PPM",
    ".pnm": "PPM",
    ".pfm": "PPM",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
    ".jpx": "JPEG2000",
    ".avif": "AVIF",
    ".dcm": DICOM,
    ".dicom": DICOM,
}
FOREIGN_SUFFIXES = frozenset(
    (".heic", ".heif", ".jxl", ".tga", ".psd", ".ico", ".sgi", ".fits", ".nii", ".svs", ".ndpi", ".qoi", ".pcx")
)
"""Images that are not read: listed and skipped with a reason, so that nobody misses them in silence."""
DECODER_FAULTS = (
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
"""What decoders were seen to raise on broken files."""


def explain_unknown(content: bytes, suffix: str) -> str:
    """Why the bytes of a file that none of the decoders knows are no image that is read."""
    start = content[:512].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not an image; fetch it with: git lfs pull"
    if start.startswith((b"<!doctype html", b"<html")):
        return "is a web page saved under an image name; download the image again"
    if not content.strip(b"\0"):
        return "holds only zero bytes"
    if suffix.lower() == ".avif" and not features.check("avif"):
        return "is an AVIF file, which this build of Pillow does not read; install Pillow 11.3 or later from PyPI"
    if suffix.lower() in FOREIGN_SUFFIXES:
        return f"{suffix.lower()} files are not read; convert it to PNG or JPEG"
    return f"is none of the formats that are read ({', '.join((*FORMATS, DICOM))}), or its header is broken"
