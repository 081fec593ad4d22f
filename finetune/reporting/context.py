"""What a report may know beside the predictions themselves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.evaluation import TrainedFor
from recipes import EvaluateSettings

Explain = Callable[[str, str], NDArray[np.uint8] | None]


@dataclass(frozen=True)
class ReportContext:
    """Everything is optional: a bare predictions table gives a report too."""

    labels: tuple[str, ...] | None = None
    history: pd.DataFrame | None = None
    findings: pd.DataFrame | None = None
    dataset: pd.DataFrame | None = None
    """The table of dataset.csv."""
    freeze: Mapping[str, Any] | None = None
    recipe_text: str | None = None
    environment: Mapping[str, Any] | None = None
    leakage: Mapping[str, int] | None = None
    image_root: Path | None = None
    small_picture: Callable[[str], NDArray[np.uint8]] | None = None
    """Pixels of an image in thumbnail size by its path below `image_root`; without it the image is decoded."""
    explain: Explain | None = None
    """RGB pixels in thumbnail size, by path and class, with a heat map of the class over them; None where it has none.
    """
    is_shared: bool = False
    """Whether the report is made to be passed on: names of images and groups are code names, no picture is shown."""
    folds: pd.DataFrame | None = None
    """The rows of folds.csv, of a cross-validation."""
    label_issues: pd.DataFrame | None = None
    """The images by how little a network that had not seen them believes in their label."""
    learning_curve: pd.DataFrame | None = None
    """The rows of learning_curve.csv, the smallest share of the images first."""
    warnings: tuple[str, ...] = ()
    change: Sequence[Mapping[str, Any]] | None = None
    """What became of each metric since another evaluation of the same network, as `Change.record` tells it."""
    evaluate: EvaluateSettings = EvaluateSettings()
    trained: TrainedFor | None = None
    """The class shares that the model was trained for."""

    @property
    def confidence(self) -> float:
        """Coverage of every interval."""
        return self.evaluate.confidence
