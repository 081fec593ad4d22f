"""What a report may know beside the predictions themselves."""

from collections.abc import Callable, Mapping
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
    folds: pd.DataFrame | None = None
    """The rows of folds.csv, of a cross-validation."""
    label_issues: pd.DataFrame | None = None
    """The images by how little a network that had not seen them believes in their label."""
    learning_curve: pd.DataFrame | None = None
    """The rows of learning_curve.csv, the smallest share of the images first."""
    warnings: tuple[str, ...] = ()
    confidence: float = 0.95
