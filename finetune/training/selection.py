"""Which epoch's weights are kept: judged on the validation images, with the doubt that so few of them leave."""

import math
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from finetune.features import FeatureSource
from finetune.ranks import ALONE, Ranks
from finetune.training.predicting import predict_logits


@dataclass(frozen=True)
class Judgement:
    """Log loss over the validation images and its standard error, every class weighing the same; balanced accuracy.

    NaN without any images.
    """

    loss: float
    error: float
    accuracy: float


@dataclass
class Kept:
    """The weights that are kept so far, of `epoch`; the least loss so far, its error, and that of the solved head.

    Kept is the latest epoch whose loss is within one standard error of the least and not above that
    of the solved head, epoch 0. On few images the best of ten epochs is mostly the luckiest; among epochs
    that cannot be told apart the latest has learnt for the longest, at the smallest steps (the rule of
    one standard error: Breiman et al. 1984, Classification and Regression Trees, with "latest" for
    "simplest"). Loss, since accuracy on some dozens of images moves in steps of several points.
    """

    epoch: int = 0
    least: float = math.inf
    error: float = 0.0
    ceiling: float = math.inf
    state: dict[str, Tensor] = field(default_factory=dict)

    def judge(self, epoch: int, judged: Judgement) -> bool:
        """Take note of an epoch: whether it is to be kept."""
        if math.isnan(judged.loss):
            return True
        if epoch == 0:
            self.ceiling = judged.loss
        if judged.loss < self.least:
            self.least, self.error = judged.loss, judged.error
        return judged.loss <= min(self.ceiling, self.least + self.error)


def validate(tail: nn.Module, val: FeatureSource | None, ranks: Ranks = ALONE) -> Judgement:
    """Judge the tail on the images of `val`, of which each of `ranks` looks at its own."""
    if val is None:
        return Judgement(math.nan, math.nan, math.nan)
    logits, targets = predict_logits(tail, val, ranks=ranks).double(), val.targets.cpu()
    losses = functional.cross_entropy(logits, targets, reduction="none")
    hits = (logits.argmax(1) == targets).double()
    of_classes = [targets == target for target in targets.unique()]
    mean_losses, recalls = ([float(values[own].mean()) for own in of_classes] for values in (losses, hits))
    variance = sum(float(losses[own].var(correction=0)) / int(own.sum()) for own in of_classes)
    return Judgement(float(np.mean(mean_losses)), math.sqrt(variance) / len(of_classes), float(np.mean(recalls)))
