"""The learning rate as a pure function of the step, or of the epoch."""

import math


def learning_rate_at(step: int, total: int, warmup: int, peak: float) -> float:
    """Linear warm-up over `warmup` steps, then half a cosine from `peak` to a hundredth of it at `total`."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return _on_cosine(step - warmup, total - warmup, peak)


def epoch_rate_at(epoch: int, total: int, warmup: int, peak: float) -> float:
    """The same, constant within an epoch; `epoch` counts from 0, `total` and `warmup` are epochs.

    After the warm-up, which leaves at least one epoch, it is what torch's CosineAnnealingLR gives with T_max the
    epochs that are left and eta_min a hundredth of the peak. While it rises it is (epoch + 1) / (warmup + 1) of the
    peak: counted in steps the warm-up ends at the peak, of one epoch nothing would be left.

    Source: Loshchilov and Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts, without restarts.
    """
    warmup = min(warmup, total - 1)
    if epoch < warmup:
        return peak * (epoch + 1) / (warmup + 1)
    return _on_cosine(epoch - warmup, total - warmup, peak)


def _on_cosine(done: int, total: int, peak: float) -> float:
    floor = peak / 100
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done / max(1, total))))
