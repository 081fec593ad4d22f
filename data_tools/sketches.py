"""A sketch of every image: 32 x 32 grey levels, enough to find copies of it and to judge its border."""

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_tools.scaling import Pixels
from data_tools.transforms import import_cv2

SIDE = 32
_ENOUGH = 4 * SIDE
"""To so many rows and columns larger images are interpolated first: a level is the mean of 64 pixels."""


def make_sketch(pixels: Pixels) -> str:
    """Mean levels of a grid of SIDE x SIDE parts, in base64, of an image (height, width, channels), 1 of them or 3."""
    cv2 = import_cv2()
    is_colour = pixels.shape[2] == 3
    if min(pixels.shape[:2]) > _ENOUGH:
        pixels = cv2.resize(pixels, (_ENOUGH, _ENOUGH), interpolation=cv2.INTER_LINEAR)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if is_colour else pixels
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return base64.b64encode(small.tobytes()).decode("ascii")


def unpack_sketches(sketches: Sequence[str]) -> NDArray[np.uint8]:
    """The levels of sketches: (images, SIDE, SIDE)."""
    content = b"".join(base64.b64decode(one) for one in sketches)
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, SIDE, SIDE)
