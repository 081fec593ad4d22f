"""Every readable file gives upright RGB pixels; every other one a reason."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_tools.decoding import MAX_PIXELS, read_image
from data_tools.errors import ImageError
from data_tools.probing import probe_image


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def ramp(width: int = 40, height: int = 30) -> Image.Image:
    columns = np.linspace(0, 255, width, dtype=np.uint8)
    return Image.fromarray(np.stack([np.tile(columns, (height, 1))] * 3, axis=-1))


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "CMYK", "LA", "RGBA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    pixels = read_image(
        save(tmp_path / "a.tif", ramp().convert(mode)) if mode != "P" else save(tmp_path / "a.png", ramp().convert("P"))
    )
    assert pixels.shape == (30, 40, 3)
    assert pixels.dtype == np.uint8


def test_transparency_is_composited_on_white(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGBA", (9, 9), (255, 0, 0, 0)))
    assert (read_image(path) == 255).all()
    assert any("alpha" in remark for remark in probe_image(path).remarks)


def test_a_transparent_palette_is_composited_on_white(tmp_path: Path) -> None:
    image = Image.new("RGB", (9, 9), "red").quantize(2)
    path = save(tmp_path / "a.png", image, transparency=image.getpixel((0, 0)))
    assert (read_image(path) == 255).all()


def test_sixteen_bits_keep_their_high_byte(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 32768, 65535]] * 3, dtype=np.uint16)
    path = save(tmp_path / "a.png", Image.fromarray(values))
    assert read_image(path)[0, :, 0].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_orientation_is_applied_once(tmp_path: Path, orientation: int, suffix: str) -> None:
    from PIL import ImageOps

    image = Image.fromarray(
        np.kron(np.array([[0, 80, 160], [200, 40, 255]], dtype=np.uint8), np.ones((16, 16), np.uint8))
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a{suffix}", image.convert("RGB"), exif=exif)
    with_tag = image.convert("RGB")
    with_tag.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(with_tag), dtype=int)
    assert np.abs(read_image(path).astype(int) - upright).max() <= 3


def test_pixels_do_not_depend_on_the_name(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", ramp())
    renamed = tmp_path / "b.jpg"
    renamed.write_bytes(path.read_bytes())
    assert (read_image(renamed) == read_image(path)).all()
    assert probe_image(renamed).remarks == ("is a PNG file named .jpg; read by its content",)


def test_the_first_frame_of_an_animation_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (9, 9), color) for color in ("red", "blue")]
    path = save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert read_image(path)[0, 0].tolist() == [255, 0, 0]
    assert "the first is used" in probe_image(path).remarks[0]


def broken_files() -> dict[str, tuple[bytes, str]]:
    jpeg, png = io.BytesIO(), io.BytesIO()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    noise.save(jpeg, "JPEG")
    noise.save(png, "PNG")
    flipped = bytearray(png.getvalue())
    flipped[len(flipped) // 2] ^= 0xFF
    return {
        "empty.jpg": (b"", "0 bytes"),
        "cut.jpg": (jpeg.getvalue()[:-400], "truncated"),
        "cut.png": (png.getvalue()[:-400], "cannot be decoded"),
        "crc.png": (bytes(flipped), "cannot be decoded"),
        "nul.jpg": (b"\0" * 500, "zero bytes"),
        "page.jpg": (b"<!DOCTYPE html><html></html>", "web page"),
        "pointer.png": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        "text.bmp": (b"hello", "none of the formats"),
        "photo.heic": (b"\0\0\0\x18ftypheic", "convert it"),
        "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "none of the formats"),
    }


@pytest.mark.parametrize("name", sorted(broken_files()))
def test_a_broken_file_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    content, reason = broken_files()[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImageError, match=reason):
        read_image(path)
    assert reason in probe_image(path).reason


def test_the_pixel_limit_is_read_from_the_header(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("1", (10_000, MAX_PIXELS // 10_000 + 1)))
    with pytest.raises(ImageError, match="limit is 64,000,000 pixels"):
        read_image(path)


def test_float_pixels_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", Image.fromarray(np.ones((9, 9), dtype=np.float32)))
    with pytest.raises(ImageError, match="float32 values .1 to 1. have no declared range"):
        read_image(path)


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert probe_image(tmp_path / "a.jpg").reason == "is not a regular file"


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    assert "No such file" in probe_image(tmp_path / "a.jpg").reason


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_bytes_after_the_end_are_told_and_not_looked_at(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", ramp())
    before = read_image(path)
    path.write_bytes(path.read_bytes() + b"PK\x03\x04 a second file" + b"\0" * 9)
    assert (read_image(path) == before).all()
    assert probe_image(path).remarks == ("goes on for 18 bytes after the image ends; they are not looked at",)


def test_zeros_after_the_end_are_padding(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", ramp())
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    assert probe_image(path).remarks == ()


def test_a_broken_colour_profile_is_told(tmp_path: Path) -> None:
    from PIL import ImageCms

    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert probe_image(save(tmp_path / "good.jpg", ramp(), icc_profile=good)).remarks == ()
    told = "its colour profile is broken; no profile is applied anyway"
    for number, profile in enumerate((b"x" * 200, good[:100], good[:-50])):
        path = save(tmp_path / f"bad{number}.jpg", ramp(), icc_profile=profile)
        assert probe_image(path).remarks == (told,)
        assert (read_image(path) == read_image(tmp_path / "good.jpg")).all()


def test_decoding_leaves_the_filters_for_warnings_alone(tmp_path: Path) -> None:
    import threading
    import warnings

    path = save(tmp_path / "a.jpg", ramp())
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [read_image(path) for _ in range(30)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
