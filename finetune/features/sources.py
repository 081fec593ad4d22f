"""Where one tail loop takes its batches from: stored features, a fresh trunk, or whole images."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from finetune.features.arithmetic import FP32, computing_in, widened, working_dtype
from finetune.features.images import ImageViews
from finetune.features.stored import FeatureArray, Features
from finetune.features.trunk import as_input

Batch = tuple[tuple[Tensor, ...], Tensor]


class FeatureSource(Protocol):
    """Batches of one part of the data for the tail: ((features, ...), targets (batch,))."""

    targets: Tensor
    views: int
    """Views of each image that the recipe asks for; where they are stored, a further one is one of them again."""

    def batches(self, order: Sequence[int], views: Sequence[int], batch_size: int) -> Iterator[Batch]:
        """Batches in `order`; `views[i]` is the view of the i-th image of that order, 0 the one of evaluation."""
        ...


class StoredSource:
    """Features that were written once and are read ever after."""

    def __init__(self, features: Features, targets: Tensor, device: torch.device) -> None:
        self.features, self.targets, self.device = features, targets, device
        self.views = features[0].shape[1]
        self.worked_out: dict[Hashable, Any] = {}
        """What was worked out of all images, for whoever takes some of them after another."""

    def batches(self, order: Sequence[int], views: Sequence[int], batch_size: int) -> Iterator[Batch]:
        """Read and widen halves to float32; past the stored views the augmented ones come again, view 0 does not."""
        for start in range(0, len(order), batch_size):
            chosen = np.asarray(order[start : start + batch_size])
            view = np.asarray(views[start : start + batch_size])
            view = np.where(view < self.views, view, 1 + (view - 1) % max(1, self.views - 1))
            view = np.minimum(view, self.views - 1)
            features = tuple(self._widen(array[chosen, view]) for array in self.features)
            yield features, self.targets[chosen].to(self.device)

    def _widen(self, stored: np.ndarray[Any, Any]) -> Tensor:
        tensor = widened(torch.from_numpy(stored)).to(self.device)
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


class _PickedArray:
    """Some images of a stored array, in an order of their own."""

    def __init__(self, whole: FeatureArray, places: NDArray[np.int64]) -> None:
        self._whole, self._places = whole, places
        self.shape: tuple[int, ...] = (len(places), *whole.shape[1:])
        self.dtype: np.dtype[Any] = whole.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[Any]:
        rows, views = index
        return self._whole[self._places[rows], views]


class PickedSource(StoredSource):
    """The images of `whole` at `places`, in that order; nothing is copied."""

    def __init__(self, whole: StoredSource, places: NDArray[np.int64]) -> None:
        arrays = [_PickedArray(array, places) for array in whole.features]
        super().__init__(arrays, whole.targets[torch.from_numpy(places)], whole.device)
        self.whole, self.places = whole, places


class FreshSource:
    """New views each epoch, through the trunk in inference mode; without a trunk, the images themselves."""

    def __init__(
        self,
        images: ImageViews,
        targets: Tensor,
        trunk: nn.Module | None,
        device: torch.device,
        arithmetic: str = FP32,
    ) -> None:
        self.images, self.targets, self.trunk, self.device = images, targets, trunk, device
        self.arithmetic = arithmetic
        self.views = len(images.views)

    def batches(self, order: Sequence[int], views: Sequence[int], batch_size: int) -> Iterator[Batch]:
        """Decode, augment and run the trunk now."""
        chosen = _OneViewEach(self.images, order, views)
        done = 0
        for images in chosen.batches(views_per_batch=batch_size):
            targets = self.targets[np.asarray(order[done : done + len(images)])].to(self.device)
            done += len(images)
            yield self._features(as_input(images, self.device, working_dtype(self.arithmetic))), targets

    def _features(self, images: Tensor) -> tuple[Tensor, ...]:
        if self.trunk is None:
            return (images,)
        with torch.no_grad(), computing_in(self.arithmetic, self.trunk, self.device):
            return tuple(widened(feature) for feature in self.trunk(images))


class _OneViewEach(ImageViews):
    """The images of an order, each in a view of its own."""

    def __init__(self, images: ImageViews, order: Sequence[int], views: Sequence[int]) -> None:
        super().__init__(
            images.root,
            [images.paths[index] for index in order],
            images.viewer,
            views=(0,),
            digests=[images.digests[index] for index in order] if images.digests else (),
        )
        self.view_of = list(views)

    def __getitem__(self, index: int) -> Tensor:
        return self.view(index, (self.view_of[index],))
