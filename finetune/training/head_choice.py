"""Which head suits the data: probes of both on the same features of the training images."""

from dataclasses import dataclass, replace

from torch import nn

from finetune.training.head_first import pool_training_images
from finetune.training.probe import solve_probe
from finetune.training.tail_data import TailData

_COMPARED_ROWS = 3000
"""Rows, a row for each view of an image, on which heads are compared: a few seconds' work."""


@dataclass(frozen=True)
class HeadChoice:
    """Log loss out of fold of a probe on the plain head's features and of one on those of every stage."""

    plain_loss: float
    multi_stage_loss: float
    folds: int

    @property
    def is_multi_stage(self) -> bool:
        """Whether the features of every stage did better."""
        return self.multi_stage_loss < self.plain_loss

    @property
    def sentence(self) -> str:
        """What was chosen, and why."""
        if not self.folds:
            return "Head: linear; the training images are too few to compare heads by cross-validation."
        chosen, other = ("multi-stage", "linear") if self.is_multi_stage else ("linear", "multi-stage")
        losses = sorted((self.plain_loss, self.multi_stage_loss))
        return (
            f"Head: {chosen}; in {self.folds}-fold cross-validation on the training images its log loss is "
            f"{losses[0]:.3f}, that of {other} {losses[1]:.3f}."
        )


def compare_heads(model: nn.Module, plain_width: int, tail: nn.Module, data: TailData, seed: int) -> HeadChoice | str:
    """Probe a multi-stage network and, on the last `plain_width` of its features, its plain one; or say why not.

    Folds keep groups together; images of validation and test are not looked at.
    """
    pooled = pool_training_images(model, tail, data, seed, _COMPARED_ROWS)
    if isinstance(pooled, str):
        return pooled
    every = pooled[1]
    plain = replace(every, features=every.features[:, :, -plain_width:].copy())
    one, other = solve_probe(plain, seed), solve_probe(every, seed)
    return HeadChoice(one.loss, other.loss, min(one.folds, other.folds))
