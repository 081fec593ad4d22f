"""Features of a later cut, made of those of an earlier one that are stored: no image is looked at again."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from finetune.features.arithmetic import FP32, computing_in, widened
from finetune.features.identity import images_at_once
from finetune.features.images import TRUNK_BATCH
from finetune.features.sources import StoredSource
from finetune.progress import Track, untracked
from finetune.timing import Stopwatch


def run_bridge(
    bridge: nn.Module,
    source: StoredSource,
    order: Sequence[int],
    *,
    arithmetic: str = FP32,
    label: str = "bridge",
    track: Track = untracked,
    watch: Stopwatch | None = None,
) -> Iterator[tuple[Tensor, ...]]:
    """What `bridge` makes of every view of the images in `order`: tensors (images, views, ...) on the CPU.

    Float32 where the arithmetic is narrower. Seconds count as `trunk`.
    """
    watch, views = watch or Stopwatch(), source.views
    size = images_at_once(views, TRUNK_BATCH) * views
    places, looks = [place for place in order for _ in range(views)], [*range(views)] * len(order)
    batches = watch.waiting(source.batches(places, looks, size), "trunk")
    for features, _ in track(batches, label, -(-len(places) // size)):
        with torch.inference_mode(), watch.measure("trunk"):
            with computing_in(arithmetic, bridge, source.device):
                crossed = bridge(*features)
            made = tuple(widened(feature).unflatten(0, (-1, views)).cpu() for feature in crossed)
        yield made
