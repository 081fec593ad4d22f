"""Class scores from the tail."""

import numpy as np
import torch
from torch import Tensor, nn

from finetune.features import FeatureSource, widened
from finetune.progress import Track, untracked
from finetune.ranks import ALONE, Ranks

_BATCH = 64


@torch.inference_mode()
def predict_logits(tail: nn.Module, source: FeatureSource, track: Track = untracked, ranks: Ranks = ALONE) -> Tensor:
    """Logits (images, classes) of the evaluation view of every image, in order, on the CPU.

    Float32, or float64 where the tail is. Each of `ranks` looks at its own images, and all get all logits.
    """
    own = ranks.own(range(len(source.targets)))
    batches = source.batches(own, [0] * len(own), _BATCH)
    logits = [widened(tail(*features)).cpu() for features, _ in track(batches, "predictions", -(-len(own) // _BATCH))]
    return ranks.gather(torch.cat(logits) if logits else torch.empty(0))


def predict_scores(
    tail: nn.Module, source: FeatureSource, track: Track = untracked, ranks: Ranks = ALONE
) -> np.ndarray:
    """Plain softmax (images, classes) of the tail's logits, float64."""
    return torch.softmax(predict_logits(tail, source, track, ranks).double(), dim=1).numpy()
