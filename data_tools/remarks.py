"""What is odd about an image file that decodes all the same: one remark a fact, kept with what is known of the file."""

from PIL import Image

from data_tools.formats import FORMAT_OF_SUFFIX

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"


def is_transparent(image: Image.Image) -> bool:
    """Whether a palette or a channel of an image says where one sees through it."""
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def tell_remarks(
    image: Image.Image, content: bytes, file_format: str, suffix: str, is_animated: bool
) -> tuple[str, ...]:
    """All remarks about a loaded image."""
    remarks = []
    if FORMAT_OF_SUFFIX.get(suffix.lower()) != file_format:
        remarks.append(f"is a {file_format} file named {suffix or 'without an ending'}; read by its content")
    if is_animated:
        remarks.append(f"{file_format} with more than one frame or page; the first is used")
    if is_transparent(image):
        remarks.append("has an alpha channel; composited on white")
    if trailing := _trailing_bytes(content, file_format, is_animated):
        remarks.append(f"goes on for {trailing:,} bytes after the image ends; they are not looked at")
    if _has_broken_profile(image):
        remarks.append("its colour profile is broken; no profile is applied anyway")
    return tuple(remarks)


def _trailing_bytes(content: bytes, file_format: str, is_animated: bool) -> int:
    """How many bytes, zeros at the end not counted, follow the mark that ends a PNG or JPEG of one frame."""
    if file_format == "PNG":
        end = content.rfind(_PNG_END)
        return len(content[end + len(_PNG_END) :].rstrip(b"\0")) if end >= 0 else 0
    if file_format == "JPEG" and not is_animated:
        end = content.rfind(_JPEG_END)
        return len(content[end + len(_JPEG_END) :].rstrip(b"\0")) if end >= 0 else 0
    return 0


def _has_broken_profile(image: Image.Image) -> bool:
    """Whether what calls itself an ICC profile lacks the size or the signature of one (ICC.1:2022, 7.2)."""
    profile = image.info.get("icc_profile")
    if not profile:
        return False
    return len(profile) < 128 or profile[36:40] != b"acsp" or int.from_bytes(profile[:4], "big") > len(profile)
