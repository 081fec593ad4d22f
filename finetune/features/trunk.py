"""Run the frozen trunk over images."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from finetune.features.arithmetic import FP32, computing_in, widened, working_dtype
from finetune.features.images import ImageViews
from finetune.progress import Track, untracked
from finetune.timing import Stopwatch


def run_trunk(
    trunk: nn.Module,
    images: ImageViews,
    device: torch.device,
    *,
    arithmetic: str = FP32,
    order: Sequence[int] | None = None,
    label: str = "trunk",
    track: Track = untracked,
    watch: Stopwatch | None = None,
) -> Iterator[tuple[Tensor, ...]]:
    """Trunk outputs batch by batch, in order of the images, or in `order`: tensors (images, views, ...) on the CPU.

    Float32 where the arithmetic is narrower.

    Seconds spent waiting for images count as `decode`, the forward passes as `trunk`.
    """
    watch = watch or Stopwatch()
    total = images.batch_count if order is None else -(-len(order) * len(images.views) // images.batch_views)
    for batch in track(watch.waiting(images.batches(order), "decode"), label, total):
        count, views = batch.shape[:2]
        with torch.inference_mode(), watch.measure("trunk"):
            with computing_in(arithmetic, trunk, device):
                features = trunk(as_input(batch, device, working_dtype(arithmetic)))
            made = tuple(widened(feature).unflatten(0, (count, views)).cpu() for feature in features)
        yield made


def as_input(images: Tensor, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Images (images, views, channels, height, width) as one batch, channels last in memory."""
    return images.flatten(0, 1).to(device, dtype, memory_format=torch.channels_last)


def estimate_norms(
    model: nn.Module, names: AbstractSet[str], images: ImageViews, device: torch.device, *, track: Track = untracked
) -> None:
    """Replace the statistics of the BatchNorm layers `names` by those of `images`; all else stays in eval mode.

    One pass, averaged over batches with equal weight.
    """
    norms = [
        module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and name in names and module.track_running_stats
    ]
    if not norms:
        return
    model.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum, norm.training = None, True
    dtype = next(model.parameters()).dtype
    with torch.no_grad():
        for batch in track(images.batches(), "norm statistics", images.batch_count):
            model(as_input(batch, device, dtype))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum, norm.training = momentum, False
