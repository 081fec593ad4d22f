"""What a run costs on this machine, measured on a few of its real batches and steps."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from finetune.checkpoint import Checkpoint, CheckpointFolder
from finetune.features import FeatureSource, ImageViews, StoredSource, computing_in, run_bridge, run_trunk
from finetune.features.sources import Batch
from finetune.features.stored import Features
from finetune.freezing import Cut
from finetune.jobs.planning import PlannedPhase, Preview
from finetune.timing import Stopwatch
from finetune.training import TailData, TailFitter, predict_scores
from recipes import Recipe

TRUNK_SECONDS = 0.5
STEP_SECONDS = 0.5
SCORE_SECONDS = 0.25


@dataclass(frozen=True)
class TrunkPace:
    """Seconds of the first batch of views and of each after it: waiting for images, and the forward pass."""

    batch_views: int
    first: tuple[float, float]
    later: tuple[float, float]

    def seconds(self, images: ImageViews) -> tuple[float, float]:
        """Seconds of waiting and of forward passes for all views of `images`."""
        batches = len(images) * len(images.views) / self.batch_views
        wait, forward = (first * min(1.0, batches) for first in self.first)
        more = max(0.0, batches - 1)
        return wait + more * self.later[0], forward + more * self.later[1]


@dataclass(frozen=True)
class TailPace:
    """Seconds until the first batch is there, and of each image after that."""

    start: float
    image: float

    def seconds(self, images: int) -> float:
        """Seconds of one pass over so many images."""
        return self.start + images * self.image


def time_trunk(
    trunk: nn.Module, images: ImageViews, device: torch.device, dtype: str, arithmetic: str
) -> tuple[TrunkPace, Features]:
    """The pace of the trunk and of what prepares its images, as in the run; and the features that came, as stored.

    At least two batches go through, where there are two.
    """
    watch, marks, kept = Stopwatch(), [(0.0, 0.0)], []
    for features in run_trunk(trunk, images, device, arithmetic=arithmetic, watch=watch):
        seconds = watch.seconds()
        marks.append((seconds["decode"], seconds["trunk"]))
        kept.append(features)
        if len(kept) >= 2 and seconds["trunk"] + seconds["decode"] > TRUNK_SECONDS:
            break
    first, last, more = marks[1], marks[-1], len(marks) - 2
    later = ((last[0] - first[0]) / more, (last[1] - first[1]) / more) if more else first
    return TrunkPace(images.batch_views, first, later), _as_stored(kept, dtype)


def time_bridge(
    bridge: nn.Module, source: StoredSource, images: ImageViews, dtype: str, arithmetic: str
) -> tuple[TrunkPace, Features]:
    """The same where features are made of stored ones, on those of them that are there."""
    started = perf_counter()
    made = list(run_bridge(bridge, source, range(len(source.targets)), arithmetic=arithmetic))
    seconds = (0.0, (perf_counter() - started) / len(made))
    return TrunkPace(images.batch_views, seconds, seconds), _as_stored(made, dtype)


def _as_stored(batches: Sequence[tuple[Tensor, ...]], dtype: str) -> Features:
    return [np.concatenate([part.numpy() for part in parts]).astype(dtype) for parts in zip(*batches, strict=True)]


class TimedSource:
    """Batches of `source` over and over, as many as `targets` ask for, but no longer than some seconds.

    At least three batches are handed out, the first of which is not looked at.
    """

    def __init__(self, source: FeatureSource, targets: Tensor, seconds: float) -> None:
        self.source, self.targets, self.limit, self.views = source, targets, seconds, source.views
        self._marks: list[float] = []
        self._sizes: list[int] = []

    def batches(self, order: Sequence[int], views: Sequence[int], batch_size: int) -> Iterator[Batch]:
        """Hand batches through, and note when each was asked for."""
        known = len(self.source.targets)
        self._marks, self._sizes = [perf_counter()], []
        for features, targets in self.source.batches([index % known for index in order], views, batch_size):
            self._marks.append(perf_counter())
            self._sizes.append(len(targets))
            yield features, targets
            if len(self._sizes) >= 3 and perf_counter() - self._marks[0] > self.limit:
                break
        self._marks.append(perf_counter())

    def pace(self) -> TailPace:
        """What the last pass has shown."""
        asked, *ready, end = self._marks
        skipped = 1 if len(ready) > 1 else 0
        return TailPace(ready[0] - asked, (end - ready[skipped]) / sum(self._sizes[skipped:]))


def time_training(
    made: Preview, recipe: Recipe, planned: PlannedPhase, cut: Cut, source: TimedSource
) -> tuple[TailPace, float]:
    """The pace of the phase's training steps, and the seconds of one checkpoint; the model is changed."""
    seconds = list[float]()
    with TemporaryDirectory() as folder:
        checkpoints = CheckpointFolder(Path(folder))

        def save(checkpoint: Checkpoint) -> None:
            started = perf_counter()
            checkpoints.save(len(seconds), checkpoint)
            seconds.append(perf_counter() - started)

        backbone = made.backbone
        stages = backbone.stages.parameters
        fitter = TailFitter(backbone.model, made.plan, recipe.train, recipe.seed, stages, save=save)
        one_epoch = replace(planned.phase, last_epoch=planned.phase.first_epoch)
        fitter.fit_phase(one_epoch, cut, TailData(source, None, len(made.dataset.labels)), is_last=False)
    return source.pace(), seconds[0]


def time_scores(cut: Cut, source: TimedSource, arithmetic: str) -> TailPace:
    """The pace of the tail in evaluation; in bf16 where training views are looked at, to solve the head on them."""
    with torch.inference_mode(), computing_in(arithmetic, cut.eval_tail, source.targets.device):
        predict_scores(cut.eval_tail, source)
    return source.pace()


def peak_memory() -> int | None:
    """The most bytes that this process has held in memory at once; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
