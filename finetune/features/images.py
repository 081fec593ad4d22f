"""Images as tensors: every view of an image is a pure function of (seed, view, image)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_tools import ImageError, Pipeline, read_image, sample_seed
from finetune.errors import InputError

TRUNK_BATCH = 32
"""Views that go through the trunk together; a part of the store's key, since it shapes the last bits."""


@dataclass(frozen=True)
class Viewer:
    """How images of one part of the data are looked at."""

    pipeline: Pipeline
    seed: int
    workers: int = 0


class ImageViews(Dataset[Tensor]):
    """Views of images by (image, view); each item (views, channels, height, width), float32."""

    def __init__(self, root: Path, paths: Sequence[str], viewer: Viewer, views: Sequence[int]) -> None:
        self.root, self.paths, self.viewer, self.views = root, list(paths), viewer, list(views)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self.paths[index]
        try:
            pixels = read_image(self.root / path)
        except ImageError as error:
            raise InputError(f"{path} could be read at the start of the run and cannot now: {error}") from error
        made = [self.viewer.pipeline(pixels, sample_seed(self.viewer.seed, view, path)) for view in self.views]
        return torch.from_numpy(np.stack(made))

    @property
    def batch_views(self) -> int:
        """Views in one batch of the trunk: whole images, TRUNK_BATCH views where that many divide."""
        return max(1, TRUNK_BATCH // len(self.views)) * len(self.views)

    @property
    def batch_count(self) -> int:
        """Batches of the trunk that all views make."""
        return -(-len(self) * len(self.views) // self.batch_views)

    def batches(self, order: Sequence[int] | None = None, views_per_batch: int = TRUNK_BATCH) -> Iterator[Tensor]:
        """Batches (images, views, channels, height, width) in `order`, made by the viewer's workers."""
        loader = DataLoader(
            self,
            batch_size=max(1, views_per_batch // len(self.views)),
            sampler=range(len(self)) if order is None else list(order),
            num_workers=min(self.viewer.workers, max(1, len(self) // 8)) if self.viewer.workers else 0,
            worker_init_fn=_one_thread,
            generator=torch.Generator().manual_seed(0),
        )
        yield from loader


def _one_thread(worker: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
