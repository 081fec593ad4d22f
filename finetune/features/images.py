"""Images as tensors: every view of an image is a pure function of (seed, view, image)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_tools import ImageError, Keeping, Pipeline, read_image, sample_seed
from data_tools.decoding import Pixels
from data_tools.geometry import Geometry
from finetune.errors import InputError

TRUNK_BATCH = 32
"""Views that go through the trunk together; a part of the store's key, since it shapes the last bits."""


@dataclass(frozen=True)
class Viewer:
    """How images of one part of the data are looked at; with `keeping`, by kept pixels where they are there.

    View 0 goes through `plain`, where there is one: an image as it is evaluated, beside its variants.
    """

    pipeline: Pipeline
    seed: int
    workers: int = 0
    keeping: Keeping | None = None
    plain: Pipeline | None = None

    def pipeline_of(self, view: int) -> Pipeline:
        """What a view goes through."""
        return self.plain if view == 0 and self.plain is not None else self.pipeline


class ImageViews(Dataset[Tensor]):
    """Views of images by (image, view); each item (views, height, width, 3), uint8, not normalised yet.

    `digests` are the sha256 of the files; without them nothing kept is used.
    """

    def __init__(
        self, root: Path, paths: Sequence[str], viewer: Viewer, views: Sequence[int], digests: Sequence[str] = ()
    ) -> None:
        self.root, self.paths, self.viewer, self.views = root, list(paths), viewer, list(views)
        self.digests = list(digests)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self.view(index, self.views)

    def view(self, index: int, views: Sequence[int]) -> Tensor:
        """Some views of one image: (views, height, width, 3), uint8."""
        path, viewer = self.paths[index], self.viewer
        pipelines = {view: viewer.pipeline_of(view) for view in views}
        try:
            fitted = self._fitted(index, {pipeline.geometry for pipeline in pipelines.values()})
        except ImageError as error:
            raise InputError(f"{path} could be read at the start of the run and cannot now: {error}") from error
        made = [
            pipelines[view].vary(fitted[pipelines[view].geometry], sample_seed(viewer.seed, view, path))
            for view in views
        ]
        return torch.from_numpy(np.stack(made))

    def _fitted(self, index: int, geometries: Iterable[Geometry]) -> dict[Geometry, Pixels]:
        # Under the digest of dataset.csv: an image that was changed since then is not used in its place.
        path, keeping = self.root / self.paths[index], self.viewer.keeping
        if keeping is not None and self.digests:
            return {geometry: keeping.pixels(path, self.digests[index], geometry) for geometry in geometries}
        pixels = read_image(path)
        return {geometry: geometry(pixels) for geometry in geometries}

    def some(self, count: int) -> "ImageViews":
        """The first images."""
        return ImageViews(self.root, self.paths[:count], self.viewer, self.views, self.digests[:count])

    @property
    def batch_views(self) -> int:
        """Views in one batch of the trunk: whole images, TRUNK_BATCH views where that many divide."""
        return max(1, TRUNK_BATCH // len(self.views)) * len(self.views)

    @property
    def batch_count(self) -> int:
        """Batches of the trunk that all views make."""
        return -(-len(self) * len(self.views) // self.batch_views)

    def batches(self, order: Sequence[int] | None = None, views_per_batch: int = TRUNK_BATCH) -> Iterator[Tensor]:
        """Batches (images, views, channels, height, width) in `order`, made by the viewer's workers.

        Float32, channels last in memory. Workers hand over bytes, a quarter of what floats would take.
        """
        loader = DataLoader(
            self,
            batch_size=max(1, views_per_batch // len(self.views)),
            sampler=range(len(self)) if order is None else list(order),
            num_workers=min(self.viewer.workers, max(1, len(self) // 8)) if self.viewer.workers else 0,
            worker_init_fn=_one_thread,
            generator=torch.Generator().manual_seed(0),
        )
        for views in loader:
            made = torch.from_numpy(self.viewer.pipeline.normalise(views.numpy()))
            yield made.permute(0, 1, 4, 2, 3)  # (images, views, channels, height, width)


def _one_thread(worker: int) -> None:
    # torch's own workers begin so too; cv2 is told again, since a worker that was spawned has not built the pipeline.
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
