"""What a tool says of its own run."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """Settings, amounts of work and versions."""

    settings: dict[str, Any]
    epochs: int
    views: int
    versions: dict[str, str]
