"""Small pictures for the page, without the metadata of their originals."""

import base64
import io
from pathlib import Path

from PIL import Image

from finetune.reporting.context import ReportContext


def thumbnail_uri(context: ReportContext, path: str, side: int | None = None) -> str | None:
    """The image as a data URI of a small JPEG, at most `side` pixels wide and high where that is given.

    None where it is gone, broken or outside the folder of images.
    """
    from data_tools import ImageError, read_image, thumbnail_geometry

    root, small = context.image_root, context.small_picture
    if root is None or _leads_outside(path):
        return None
    try:
        picture = Image.fromarray(small(path) if small else thumbnail_geometry()(read_image(root / path)))
    except (ImageError, OSError, ValueError):
        return None
    if side is not None:
        picture.thumbnail((side, side))
    return _jpeg_uri(picture)


def overlay_uri(context: ReportContext, path: str, label: str) -> str | None:
    """The image with the heat map of class `label` laid over it; None where there is none."""
    if context.explain is None or _leads_outside(path):
        return None
    pixels = context.explain(path, label)
    return None if pixels is None else _jpeg_uri(Image.fromarray(pixels))


def data_uri(content: bytes, media_type: str) -> str:
    """`content` as a URI that needs no file beside the page."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _leads_outside(path: str) -> bool:
    return Path(path).is_absolute() or ".." in Path(path).parts


def _jpeg_uri(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, format="JPEG", quality=82)
    return data_uri(content.getvalue(), "image/jpeg")
