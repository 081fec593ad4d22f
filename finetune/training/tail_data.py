"""What a tail learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

from finetune.features import FeatureSource


@dataclass(frozen=True)
class TailData:
    """What the tail learns from and is chosen by; `val` may be absent.

    `names` and `groups` are those of the training images; without groups each stands alone.
    """

    train: FeatureSource
    val: FeatureSource | None
    classes: int
    names: Sequence[str] = ()
    groups: Sequence[str] = ()
