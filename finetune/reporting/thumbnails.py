"""Small pictures for the page, without the metadata of their originals."""

import base64
import io
from pathlib import Path

from PIL import Image

from finetune.reporting.context import ReportContext


def thumbnail_uri(context: ReportContext, path: str) -> str | None:
    """The image as a data URI of a small JPEG; None where it is gone, broken or outside the folder of images."""
    from data_tools import ImageError, read_image, thumbnail_geometry

    root, small = context.image_root, context.small_picture
    if root is None or Path(path).is_absolute() or ".." in Path(path).parts:
        return None
    try:
        picture = Image.fromarray(small(path) if small else thumbnail_geometry()(read_image(root / path)))
    except (ImageError, OSError, ValueError):
        return None
    content = io.BytesIO()
    picture.save(content, format="JPEG", quality=82)
    return data_uri(content.getvalue(), "image/jpeg")


def data_uri(content: bytes, media_type: str) -> str:
    """`content` as a URI that needs no file beside the page."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
