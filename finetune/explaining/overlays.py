"""Heat drawn over the picture that it is of."""

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

_COLOURS = "inferno"
"""Even steps of lightness, so a reader who tells no colours apart, or prints in grey, sees the same."""
_MOST = 0.7
"""How much of the picture the hottest place hides."""


def overlay(picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """`picture` (height, width, 3) with `heat`, 0 to 1 and of any size, laid over it; what is cold stays as it is."""
    height, width = picture.shape[:2]
    fitted = np.asarray(Image.fromarray(heat).resize((width, height), Image.Resampling.BILINEAR)).clip(0, 1)
    share = _MOST * fitted[:, :, None]
    colours = 255 * colormaps[_COLOURS](fitted)[:, :, :3]
    blended: NDArray[np.uint8] = np.round(picture * (1 - share) + colours * share).astype(np.uint8)
    return blended
