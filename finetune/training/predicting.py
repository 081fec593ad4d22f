"""Class scores from the tail."""

import numpy as np
import torch
from torch import Tensor, nn

from finetune.features import FeatureSource, widened
from finetune.progress import Track, untracked

_BATCH = 64


@torch.inference_mode()
def predict_logits(tail: nn.Module, source: FeatureSource, track: Track = untracked) -> Tensor:
    """Logits (images, classes) of the evaluation view of every image, in order, on the CPU.

    Float32, or float64 where the tail is.
    """
    count = len(source.targets)
    batches = source.batches(range(count), [0] * count, _BATCH)
    logits = [widened(tail(*features)).cpu() for features, _ in track(batches, "predictions", -(-count // _BATCH))]
    return torch.cat(logits)


def predict_scores(tail: nn.Module, source: FeatureSource, track: Track = untracked) -> np.ndarray:
    """Plain softmax (images, classes) of the tail's logits, float64."""
    return torch.softmax(predict_logits(tail, source, track).double(), dim=1).numpy()
