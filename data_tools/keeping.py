"""What is kept of every image once it is decoded, so that it is not decoded again."""

import hashlib
import json
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

import numpy as np

from data_tools.decoding import DECODING_RULES, decode_content, decoder_versions, read_content
from data_tools.errors import ImageError
from data_tools.geometry import Geometry, whole_geometry
from data_tools.pixels import PixelStore, Shelf
from data_tools.samples import Probe
from data_tools.scaling import BITS, Pixels, Scaling
from data_tools.transforms import import_cv2


@dataclass(frozen=True)
class Keeping:
    """The store of decoded pixels, and the geometries in which they will be asked for.

    An image that one of them leaves as it is, is small: it is kept whole, and the others are made from it whenever they
    are asked for. While the store is at most half full, larger ones are kept whole too, since to shrink an image takes
    up to ten times as long as to write it, and most are asked for in one geometry alone; that one is kept then. Past
    that, all geometries are made while an image is in memory: to which part of the data it will go is not known yet.
    """

    store: PixelStore
    geometries: tuple[Geometry, ...]
    scaling: Scaling = BITS
    """How deep values become levels; while it is open, no pixels of such images are kept."""

    def known(self, digest: str, suffix: str) -> Probe | None:
        """The probe of a file with these bytes and this ending, if it is kept, with its pixels where there is room.

        A file whose pixels were made for other geometries is decoded once more, for all of these at once.
        """
        kept = self.store.read(_probe_shelf(), self._probe_name(digest, suffix))
        if kept is None or not (self._has_pixels(digest) or self.scaling.is_open or self.store.is_full):
            return None
        told = json.loads(kept.tobytes())
        return Probe(**{**told, "remarks": tuple(told["remarks"]), "quantiles": tuple(told["quantiles"])})

    def kept_bytes(self, digest: str, suffix: str) -> int:
        """Bytes of all that is kept of a file."""
        shelves = (whole_geometry(), *self.geometries)
        pixels = sum(self.store.size(shelf, name) for shelf in shelves for name in self._names(digest))
        return pixels + self.store.size(_probe_shelf(), self._probe_name(digest, suffix))

    def keep(self, probe: Probe, suffix: str, lean: Pixels) -> None:
        """Keep the lean pixels of a file that was just decoded; its probe last: whose probe is kept is whole."""
        if not (probe.quantiles and self.scaling.is_open):
            name = self._name(probe.sha256, is_deep=bool(probe.quantiles))
            if self._is_small(lean) or self.store.is_roomy(lean.size):
                self.store.keep(whole_geometry(), name, lean)
            else:
                for geometry in self.geometries:
                    self.store.keep(geometry, name, lean_pixels(geometry(lean)))
        content = np.frombuffer(json.dumps(vars(probe)).encode(), dtype=np.uint8)
        name = self._probe_name(probe.sha256, suffix)
        self.store.keep(_probe_shelf(), name, content.reshape(1, -1, 1), is_small=True)

    def pixels(self, path: Path, digest: str, geometry: Geometry) -> Pixels:
        """The pixels in a geometry of the file whose sha256 is `digest`: kept ones, or, where there are none, decoded.

        A file that was changed or removed since its digest was taken does not matter where pixels are kept: they
        are those of the digest. Else raises ImageError with the reason alone.
        """
        kept = self._read(geometry, digest)
        if kept is not None:
            return _as_colour(kept[1])
        found = self._read(whole_geometry(), digest)
        if found is not None:
            name, whole = found
            fitted = geometry(_as_colour(whole))
            if not self._is_small(whole):
                self.store.keep(geometry, name, lean_pixels(fitted))
                self.store.flush()
            return fitted
        content = read_content(path)
        if hashlib.sha256(content).hexdigest() != digest:
            raise ImageError("the file has changed")
        decoded = decode_content(content, path.suffix, self.scaling)
        fitted = geometry(decoded.pixels)
        name = self._name(digest, is_deep=bool(decoded.quantiles))
        self.store.keep(whole_geometry() if fitted is decoded.pixels else geometry, name, lean_pixels(fitted))
        self.store.flush()
        return fitted

    def settled(self, scaling: Scaling) -> "Keeping":
        """The same store and geometries once the scaling is known."""
        return replace(self, scaling=scaling)

    def _has_pixels(self, digest: str) -> bool:
        """Whether the pixels for all geometries are kept; notes that they will be used."""
        names = self._names(digest)
        kept = [any(self.store.touch(shelf, name) for name in names) for shelf in (whole_geometry(), *self.geometries)]
        return kept[0] or all(kept[1:])

    def _read(self, geometry: Geometry, digest: str) -> tuple[str, Pixels] | None:
        """The pixels that are kept of a file, and under which name."""
        found = ((name, self.store.read(geometry, name)) for name in self._names(digest))
        return next(((name, kept) for name, kept in found if kept is not None), None)

    def _is_small(self, pixels: Pixels) -> bool:
        return any(min(pixels.shape[:2]) <= geometry.leaves for geometry in self.geometries)

    def _names(self, digest: str) -> tuple[str, str]:
        """Under which the pixels of a file may be kept: whether they are deep is not known by its digest."""
        return (self._name(digest, is_deep=False), self._name(digest, is_deep=True))

    def _name(self, digest: str, *, is_deep: bool) -> str:
        return _hashed(digest, self.scaling.facts) if is_deep else digest

    def _probe_name(self, digest: str, suffix: str) -> str:
        """A probe depends on the ending of a file's name too, since a remark tells where it does not fit; and on
        the scaling, under which a file may be refused."""
        return _hashed(digest, suffix, self.scaling.facts)


def _hashed(*parts: str) -> str:
    return hashlib.sha256("".join(parts).encode(errors="surrogateescape")).hexdigest()


@cache
def _probe_shelf() -> Shelf:
    names = [field.name for field in fields(Probe)]
    facts = {"name": "probe", "fields": names, "rules": DECODING_RULES, "versions": decoder_versions()}
    return Shelf("what decoding told of images", json.dumps(facts, sort_keys=True))


def lean_pixels(pixels: Pixels) -> Pixels:
    """One channel of grey pixels, which tells all, as of most X-rays and scans; others as they are."""
    if pixels.shape[2] == 1:
        return pixels
    middle = pixels[pixels.shape[0] // 2]
    if middle[:, 0].tobytes() != middle[:, 1].tobytes():
        return pixels  # as of most colour images, for nothing
    planes = import_cv2().split(pixels)  # compared many times faster than in place
    first, *others = (plane.tobytes() for plane in planes)
    return planes[0][:, :, np.newaxis] if all(first == other for other in others) else pixels


def _as_colour(kept: Pixels) -> Pixels:
    return kept if kept.shape[2] == 3 else np.repeat(kept, 3, axis=2)
