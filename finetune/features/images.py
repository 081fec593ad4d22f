"""Images as tensors: every view of an image is a pure function of (seed, view, image)."""

import copy
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import local

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_tools import ImageError, Keeping, Pipeline, read_image, sample_seed
from data_tools.geometry import Geometry
from data_tools.scaling import Pixels
from finetune.errors import InputError
from finetune.features.identity import images_at_once

TRUNK_BATCH = 32
"""Views that go through the trunk together; a part of the store's key, since it shapes the last bits."""
AHEAD = 4
"""Batches that are begun while a GPU computes. A CPU has no cores to spare: workers would stand in its way."""


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
    ahead: int = 0
    """Batches that are begun before they are asked for."""

    def pipeline_of(self, view: int) -> Pipeline:
        """What a view goes through."""
        return self.plain if view == 0 and self.plain is not None else self.pipeline


class ImageViews:
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
        return images_at_once(len(self.views), TRUNK_BATCH) * len(self.views)

    @property
    def batch_count(self) -> int:
        """Batches of the trunk that all views make."""
        return -(-len(self) * len(self.views) // self.batch_views)

    def batches(self, order: Sequence[int] | None = None, views_per_batch: int = TRUNK_BATCH) -> Iterator[Tensor]:
        """Batches (images, views, channels, height, width) in `order`, made by the viewer's workers.

        Float32, channels last in memory. Workers are threads: decoding, resizing and colours leave
        Python's lock alone. A process that is forked off shares the network's memory with this one,
        and every page that the trunk then writes is copied first; one that is spawned has to import everything anew.
        """
        places = range(len(self)) if order is None else order
        size = images_at_once(len(self.views), views_per_batch)
        chunks = [places[start : start + size] for start in range(0, len(places), size)]
        made = self._made_by_workers(chunks) if self.viewer.workers else ([*map(self._floats, one)] for one in chunks)
        for images in made:
            yield torch.from_numpy(np.stack(images)).permute(0, 1, 4, 2, 3)  # (images, views, channels, height, width)

    def _made_by_workers(self, chunks: Sequence[Sequence[int]]) -> Iterator[list[NDArray[np.float32]]]:
        own = local()

        def begin() -> None:
            own.images = self._for_thread()

        def make(place: int) -> NDArray[np.float32]:
            made: NDArray[np.float32] = own.images._floats(place)
            return made

        pool = ThreadPoolExecutor(self.viewer.workers, "images", begin)
        begun = deque[list[Future[NDArray[np.float32]]]]()
        try:
            for number in range(len(chunks)):
                for chunk in chunks[number + len(begun) : number + self.viewer.ahead + 1]:
                    begun.append([pool.submit(make, place) for place in chunk])
                yield [image.result() for image in begun.popleft()]
        finally:
            pool.shutdown(cancel_futures=True)

    def _for_thread(self) -> "ImageViews":
        """A copy with pipelines of its own: one pipeline must not be called by two threads at once."""
        own, viewer = copy.copy(self), self.viewer
        plain = None if viewer.plain is None else viewer.plain.copied()
        own.viewer = replace(viewer, pipeline=viewer.pipeline.copied(), plain=plain)
        return own

    def _floats(self, place: int) -> NDArray[np.float32]:
        return self.viewer.pipeline.normalise(self[place].numpy())  # (views, height, width, channels)
