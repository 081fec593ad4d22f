"""What a report may know beside the predictions themselves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class ReportContext:
    """Everything is optional: a bare predictions table gives a report too."""

    labels: tuple[str, ...] | None = None
    history: pd.DataFrame | None = None
    findings: pd.DataFrame | None = None
    freeze: Mapping[str, Any] | None = None
    recipe_text: str | None = None
    environment: Mapping[str, Any] | None = None
    leakage: Mapping[str, int] | None = None
    image_root: Path | None = None
    small_picture: Callable[[str], NDArray[np.uint8]] | None = None
    """Pixels of an image in thumbnail size by its path below `image_root`; without it the image is decoded."""
    warnings: tuple[str, ...] = ()
    confidence: float = 0.95
    change: Sequence[Mapping[str, Any]] | None = None
    """What became of each metric since another evaluation of the same network, as `Change.record` tells it."""
    explain: Callable[[str, str], NDArray[np.uint8] | None] | None = None
    """Draws where in the image of a path the score of a class comes from; None where that cannot be had."""
