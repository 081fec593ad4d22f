"""Features of all images, made once, and what each fold of a cross-validation takes of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from data_tools import Dataset
from data_tools.holding_out import usable_images, with_splits
from finetune.features import PickedSource, StoredSource
from finetune.freezing import Cut
from finetune.jobs.planning import Preview
from finetune.jobs.sources import SourceMaker
from finetune.progress import Say, Track, silent
from finetune.timing import Stopwatch
from recipes import Recipe


class FeaturePool:
    """Features of every usable image at each cut: training views, and the view of evaluation in fp32."""

    def __init__(
        self, made: Preview, recipe: Recipe, watch: Stopwatch, *, track: Track, say: Say, check: Callable[[], None]
    ) -> None:
        self.watch, self.check = watch, check
        self._training = SourceMaker(_all_in(made, "train"), recipe, watch, track=track, say=say, check=check)
        self.recipe = self._training.settle()
        self._evaluation = SourceMaker(_all_in(made, "test"), self.recipe, watch, track=track, say=say, check=check)
        self._places = pd.Index(usable_images(made.dataset)["path"])

    def source(self, is_training: bool, cut: Cut, frozen_sha256: str, paths: Sequence[str]) -> StoredSource:
        """The features of the images of `paths`, in their order."""
        maker, split = (self._training, "train") if is_training else (self._evaluation, "test")
        whole = maker.parts((split,), cut, frozen_sha256)[split]
        assert isinstance(whole, StoredSource)
        places: NDArray[np.int64] = self._places.get_indexer(pd.Index(paths)).astype(np.int64)
        return PickedSource(whole, places)

    def go_over_to(self, made: Preview) -> None:
        """Make features of another backbone."""
        self._training.go_over_to(_all_in(made, "train"))
        self._evaluation.go_over_to(_all_in(made, "test"))

    def close(self) -> None:
        """Let go of what is stored, so that it is in use no longer."""
        self._training.close()
        self._evaluation.close()


class PooledSources(SourceMaker):
    """The sources of one fold; what is stored of all images is not made again."""

    def __init__(self, made: Preview, pool: FeaturePool, track: Track) -> None:
        super().__init__(made, pool.recipe, pool.watch, track=track, say=silent, check=pool.check)
        self.pool = pool

    def go_over_to(self, made: Preview) -> None:
        """Make sources for another backbone on the same data."""
        super().go_over_to(made)
        self.pool.go_over_to(made)

    def _stored_source(self, split: str, cut: Cut, trunk: nn.Module, frozen_sha256: str) -> StoredSource:
        paths = [str(path) for path in self.made.dataset.part(split)["path"]]
        return self.pool.source(split == "train", cut, frozen_sha256, paths)


def _all_in(made: Preview, split: str) -> Preview:
    dataset: Dataset = made.dataset
    splits = dict.fromkeys(usable_images(dataset)["path"], split)
    return replace(made, dataset=with_splits(dataset, splits))
