"""A sketch of every image: 32 x 32 grey levels, enough to find copies of it and to judge its border."""

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_tools.scaling import Pixels
from data_tools.transforms import import_cv2

SIDE = 32
_ENOUGH = 4 * SIDE
"""Rows and columns of larger images are skipped down to this many: a level is still the mean of 16 pixels and more."""
_LUMA = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601."""


def make_sketch(pixels: Pixels) -> str:
    """Mean levels of a grid of SIDE x SIDE parts of an image (height, width, 3), in base64."""
    cv2 = import_cv2()
    step = [max(1, side // _ENOUGH) for side in pixels.shape[:2]]
    few = np.ascontiguousarray(pixels[:: step[0], :: step[1]])
    small = cv2.resize(few, (SIDE, SIDE), interpolation=cv2.INTER_AREA).reshape(SIDE, SIDE, -1)
    grey = np.rint(small @ _LUMA).astype(np.uint8)
    return base64.b64encode(grey.tobytes()).decode("ascii")


def unpack_sketches(sketches: Sequence[str]) -> NDArray[np.uint8]:
    """The levels of sketches: (images, SIDE, SIDE)."""
    content = b"".join(base64.b64decode(one) for one in sketches)
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, SIDE, SIDE)
