"""What is kept of every image once it is decoded, so that it is not decoded again."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np

from data_tools.decoding import DECODING_RULES, Pixels, decode_content, decoder_versions, read_content
from data_tools.errors import ImageError
from data_tools.geometry import Geometry, whole_geometry
from data_tools.pixels import PixelStore, Shelf
from data_tools.samples import Probe


@dataclass(frozen=True)
class Keeping:
    """The store of decoded pixels, and the geometries in which they will be asked for.

    All geometries are made while an image is in memory: to which part of the data it will go is not known
    yet. An image that one of them leaves as it is, is kept whole instead, and the others are made from it
    whenever they are asked for: it is small.
    """

    store: PixelStore
    geometries: tuple[Geometry, ...]

    def known(self, digest: str, suffix: str) -> Probe | None:
        """The probe of a file with these bytes and this ending, if one is kept."""
        kept = self.store.read(_probe_shelf(), _probe_name(digest, suffix))
        if kept is None:
            return None
        for geometry in (whole_geometry(), *self.geometries):
            self.store.touch(geometry, digest)
        told = json.loads(kept.tobytes())
        return Probe(**{**told, "remarks": tuple(told["remarks"])})

    def kept_bytes(self, digest: str, suffix: str) -> int:
        """Bytes of all that is kept of a file."""
        shelves = (whole_geometry(), *self.geometries)
        pixels = sum(self.store.size(shelf, digest) for shelf in shelves)
        return pixels + self.store.size(_probe_shelf(), _probe_name(digest, suffix))

    def keep(self, probe: Probe, suffix: str, pixels: Pixels) -> None:
        """Keep the pixels of a file that was just decoded; and its probe last, so that whose probe is kept is whole."""
        is_whole = any(min(pixels.shape[:2]) <= geometry.leaves for geometry in self.geometries)
        lean = _lean(pixels)
        for geometry in [whole_geometry()] if is_whole else self.geometries:
            self.store.keep(geometry, probe.sha256, _lean(geometry(lean)))
        content = np.frombuffer(json.dumps(asdict(probe)).encode(), dtype=np.uint8)
        self.store.keep(_probe_shelf(), _probe_name(probe.sha256, suffix), content.reshape(1, -1, 1), is_small=True)

    def pixels(self, path: Path, digest: str, geometry: Geometry) -> Pixels:
        """The pixels in a geometry of the file whose sha256 is `digest`: kept ones, or, where there are none, decoded.

        A file that was changed or removed since its digest was taken does not matter where pixels are kept: they
        are those of the digest. Else raises ImageError with the reason alone.
        """
        kept = self.store.read(geometry, digest)
        if kept is not None:
            return _as_colour(kept)
        whole = self.store.read(whole_geometry(), digest)
        pixels = _as_colour(whole) if whole is not None else _decode(path, digest)
        fitted = geometry(pixels)
        if whole is None:
            self.store.keep(whole_geometry() if fitted is pixels else geometry, digest, _lean(fitted))
        return fitted


def _decode(path: Path, digest: str) -> Pixels:
    content = read_content(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ImageError("the file has changed")
    return decode_content(content, path.suffix).pixels


@cache
def _probe_shelf() -> Shelf:
    names = [field.name for field in fields(Probe)]
    facts = {"name": "probe", "fields": names, "rules": DECODING_RULES, "versions": decoder_versions()}
    return Shelf("what decoding told of images", json.dumps(facts, sort_keys=True))


def _probe_name(digest: str, suffix: str) -> str:
    """A probe depends on the ending of a file's name too: a remark tells where it does not fit."""
    return hashlib.sha256(f"{digest}{suffix}".encode(errors="surrogateescape")).hexdigest()


def _lean(pixels: Pixels) -> Pixels:
    """One channel of grey pixels, which tells all, as of most X-rays and scans; others as they are."""
    return pixels[:, :, :1] if pixels.shape[2] == 1 or _is_grey(pixels) else pixels


def _is_grey(pixels: Pixels) -> bool:
    few = pixels[::16, ::16]  # settles it for most colour images, for nothing
    # Channel by channel, not both pairs at once: numpy compares so in a tenth of the time.
    return all(bool((part[..., one] == part[..., one + 1]).all()) for part in (few, pixels) for one in (0, 1))


def _as_colour(kept: Pixels) -> Pixels:
    return kept if kept.shape[2] == 3 else np.repeat(kept, 3, axis=2)
