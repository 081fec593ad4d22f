"""Find pictures that are copies of each other though their files differ: saved anew, resized, brightened, turned.

Every sketch becomes a fingerprint, a kind of perceptual hash: the 255 lowest coefficients of its cosine transform but
the mean, each weighted by its frequency, since two X-rays of different patients have the coarse shape in common, and
what tells a copy is the rest. Pictures are copies where the cosine between their fingerprints is at least SIMILAR,
in any of the eight ways to lay a picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_tools.progress import Track, untracked
from data_tools.sketches import SIDE, unpack_sketches

Floats = NDArray[np.float32]

SIMILAR = 0.95
_KEPT = 16
"""Coefficients a side."""
_FLAT = 2.0
"""Sketches whose levels have a smaller standard deviation show nothing that could be compared."""
_MANY = 10_000
"""So many images take a second or two: more are worth being watched."""
_ROWS = 1024
"""Fingerprints that are compared with all others at once; 50,000 images then take 0.2 GB."""


@dataclass(frozen=True)
class NearPair:
    """Two pictures by their places, the first the lower, and the cosine between their fingerprints."""

    first: int
    second: int
    similarity: float


def find_near_duplicates(sketches: Sequence[str], track: Track = untracked) -> list[NearPair]:
    """Pairs of copies that join every set of copies, in order; an empty sketch has none.

    Of a set of n pictures n - 1 pairs are told, not all: a film has thousands of pictures alike. Time grows with the
    square of the number of images: 50,000 take less than a minute on two cores.
    """
    known = [place for place, sketch in enumerate(sketches) if sketch]
    levels = unpack_sketches([sketches[place] for place in known])
    places = np.array(known)[levels.std(axis=(1, 2)) >= _FLAT] if known else np.zeros(0, dtype=int)
    if len(places) < 2:
        return []
    coefficients = _transform(unpack_sketches([sketches[place] for place in places]))
    upright = _fingerprints(coefficients)
    starts = range(0, len(places), _ROWS)
    set_of = np.arange(len(places))  # the lowest place of the set that each picture belongs to
    pairs: list[NearPair] = []
    for start in track(starts, "comparing pictures", len(starts)) if len(places) > _MANY else starts:
        best = _compare(coefficients[start : start + _ROWS], upright[start:])
        alike = np.triu(best >= SIMILAR, k=1)
        for row in np.flatnonzero(alike.any(axis=1)):
            columns = np.flatnonzero(alike[row])
            others, firsts = np.unique(set_of[start + columns], return_index=True)
            for column in columns[firsts[others != set_of[start + row]]]:
                first, second = int(places[start + row]), int(places[start + column])
                pairs.append(NearPair(first, second, float(best[row, column])))
            joined = np.union1d(others, set_of[start + row])
            if len(joined) > 1:
                set_of[np.isin(set_of, joined)] = joined[0]
    return pairs


def _compare(coefficients: Floats, others: Floats) -> Floats:
    """The largest cosine over the eight ways to lay the pictures of the rows: (rows, others)."""
    best = None
    for laid in _lay(coefficients):
        cosines = _fingerprints(laid) @ others.T
        best = cosines if best is None else np.maximum(best, cosines, out=best)
    assert best is not None
    return best


def _transform(levels: NDArray[np.uint8]) -> Floats:
    """The lowest coefficients of the orthonormal cosine transform (DCT-II) of sketches: (images, _KEPT, _KEPT)."""
    place, frequency = np.arange(SIDE), np.arange(_KEPT)
    basis = np.cos(np.pi * (place[None, :] + 0.5) * frequency[:, None] / SIDE) * np.sqrt(2 / SIDE)
    basis[0] /= np.sqrt(2)
    made: Floats = (basis @ levels.astype(np.float32) @ basis.T).astype(np.float32)
    return made


def _fingerprints(coefficients: Floats) -> Floats:
    """Weighted coefficients but the mean, of length 1: (images, _KEPT * _KEPT - 1)."""
    frequency = np.arange(_KEPT)
    weights = np.hypot(frequency[:, None], frequency[None, :]).astype(np.float32)
    flat = (coefficients * weights).reshape(len(coefficients), -1)[:, 1:]
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    made: Floats = (flat / np.maximum(lengths, 1e-6)).astype(np.float32)
    return made


def _lay(coefficients: Floats) -> Iterator[Floats]:
    """Coefficients of a picture as it is, mirrored and turned by quarters: mirroring changes the signs of odd
    frequencies along an axis, turning swaps the axes too."""
    signs = np.where(np.arange(_KEPT) % 2, -1, 1).astype(np.float32)
    for transposed in (coefficients, coefficients.transpose(0, 2, 1)):
        for down in (1.0, signs[:, None]):
            for across in (1.0, signs[None, :]):
                yield transposed * down * across
