"""Class scores from the tail."""

import numpy as np
import torch
from torch import Tensor, nn

from finetune.features import FeatureSource

_BATCH = 64


@torch.inference_mode()
def predict_logits(tail: nn.Module, source: FeatureSource) -> Tensor:
    """Logits (images, classes) of the evaluation view of every image, in order, float32 on the CPU."""
    count = len(source.targets)
    order, views = range(count), [0] * count
    logits = [tail(*features).float().cpu() for features, _ in source.batches(order, views, _BATCH)]
    return torch.cat(logits)


def predict_scores(tail: nn.Module, source: FeatureSource) -> np.ndarray:
    """Plain softmax (images, classes) of the tail's logits, float64."""
    return torch.softmax(predict_logits(tail, source).double(), dim=1).numpy()
