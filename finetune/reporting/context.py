"""What a report may know beside the predictions themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd


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
    warnings: tuple[str, ...] = ()
    confidence: float = 0.95
