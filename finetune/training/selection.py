"""Which epoch's weights are kept: judged on the validation images, with the doubt that so few of them leave."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from finetune.features import FeatureSource
from finetune.training.predicting import predict_logits


@dataclass(frozen=True)
class Judgement:
    """Log loss and balanced accuracy over the validation images, and the standard error of the latter.

    NaN without any images.
    """

    loss: float
    accuracy: float
    error: float


@dataclass
class Kept:
    """The weights that are kept so far, of `epoch`; the best judgement so far, and that of the solved head.

    Kept is the latest epoch that is within one standard error of the best and not below the solved
    head, epoch 0. On few images the best of ten epochs is mostly the luckiest; among epochs that
    cannot be told apart the latest has learnt for the longest, at the smallest steps (the rule of
    one standard error: Breiman et al. 1984, Classification and Regression Trees, with "latest" for
    "simplest").
    """

    epoch: int = 0
    peak: float = -1.0
    error: float = 0.0
    floor: float = -1.0
    state: dict[str, Tensor] = field(default_factory=dict)

    def judge(self, epoch: int, judged: Judgement) -> tuple[bool, bool]:
        """Take note of an epoch: whether it is to be kept, and whether it is the best so far."""
        if math.isnan(judged.accuracy):
            return True, False
        is_best = judged.accuracy > self.peak
        if epoch == 0:
            self.floor = judged.accuracy
        if is_best:
            self.peak, self.error = judged.accuracy, judged.error
        return judged.accuracy >= max(self.floor, self.peak - self.error), is_best


def validate(tail: nn.Module, val: FeatureSource | None) -> Judgement:
    """Judge the tail on the images of `val`."""
    if val is None:
        return Judgement(math.nan, math.nan, math.nan)
    logits, targets = predict_logits(tail, val), val.targets
    loss = float(functional.cross_entropy(logits.double(), targets))
    hits = (logits.argmax(1) == targets).double()
    classes = targets.unique()
    recalls = torch.stack([hits[targets == target].mean() for target in classes]).numpy()
    counts = torch.stack([(targets == target).sum() for target in classes]).numpy()
    error = math.sqrt(float((recalls * (1 - recalls) / counts).sum())) / len(classes)
    return Judgement(loss, float(np.mean(recalls)), error)
