"""Predict what a run costs before it begins: seconds, disk and memory."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from finetune.checkpoint import SAVE_SHARE
from finetune.features import (
    FP32,
    FeatureSource,
    FreshSource,
    ImageViews,
    StoredSource,
    StoreIdentity,
    estimate_norms,
    fold_norms,
    scoring_arithmetic,
)
from finetune.features.images import TRUNK_BATCH
from finetune.features.stored import Features
from finetune.freezing import Cut, FreezePlan
from finetune.jobs.calibrating import (
    SCORE_SECONDS,
    STEP_SECONDS,
    TailPace,
    TimedSource,
    TrunkPace,
    peak_memory,
    time_bridge,
    time_scores,
    time_training,
    time_trunk,
)
from finetune.jobs.planning import PlannedPhase, Preview, begin_phase, ends_with_solved_head, preview, wants_solved_head
from finetune.jobs.sources import SourceMaker
from finetune.progress import Say, Track, silent, untracked
from finetune.timing import Stopwatch
from recipes import Recipe

_HELD_OUT = ("val", "test")
_MEMORY_METHOD = "the peak of this trial, which ran real batches and steps, and the features, mapped from disk"


@dataclass(frozen=True)
class Forecast:
    """What a run would cost on this machine, with nothing in the feature store yet.

    `seconds` has the names of timings.json, and `scan` (images read, network loaded and cut: as
    measured just now) and, where norm statistics are estimated, `adapt`. The tail's are for every
    epoch that the recipe allows. `store` has one row for each part that is stored, `bytes` are
    those of its arrays; `pixel_bytes` those of the decoded pixels, which lie there already.
    `calibration_seconds` were spent on finding out.
    """

    images: dict[str, int]
    epochs: int
    patience: int | None
    seconds: dict[str, float]
    store: tuple[dict[str, Any], ...]
    pixel_bytes: int
    memory_bytes: int | None
    memory_method: str
    calibration_seconds: float

    @property
    def total_seconds(self) -> float:
        """From the first look at the data to the scores; the report, a second or so, comes after it."""
        return sum(self.seconds.values())

    @property
    def tail_epoch_seconds(self) -> float:
        """Seconds of one epoch, on average over the phases."""
        return self.seconds["tail"] / max(1, self.epochs)

    @property
    def store_bytes(self) -> int:
        """Bytes of all arrays that the run stores."""
        return sum(row["bytes"] for row in self.store)

    def as_json(self) -> dict[str, Any]:
        """The content of `forecast` in the JSON of `finetune plan`."""
        return {
            "images": self.images,
            "epochs": self.epochs,
            "patience": self.patience,
            "seconds": {**self.seconds, "total": self.total_seconds},
            "tail_epoch_seconds": self.tail_epoch_seconds,
            "store": {"bytes": self.store_bytes, "parts": list(self.store)},
            "pixels": {"bytes": self.pixel_bytes},
            "memory": {"bytes": self.memory_bytes, "method": self.memory_method},
            "calibration_seconds": self.calibration_seconds,
        }


def forecast_run(
    data: Path, recipe: Recipe, *, track: Track = untracked, say: Say = silent
) -> tuple[Preview, Forecast]:
    """Prepare the run of `recipe` on the images at `data`, try its parts for some seconds, and predict the rest.

    No features are stored and no result is kept, but decoded pixels are, as by a run; the preview's
    backbone has learnt from the trial and is good for its table alone.
    """
    started = perf_counter()
    made = preview(data, recipe, track=track, say=say)
    maker = SourceMaker(made, recipe, Stopwatch(), track=untracked, say=say)
    recipe = maker.settle()
    maker.images("train", is_training=True)  # the image library is loaded here
    scan = perf_counter() - started
    trial = _Trial(made, recipe, maker)
    seconds = {"scan": scan, **trial.run()}
    store = tuple(trial.stored.values())
    peak, mapped = peak_memory(), sum(row["bytes"] for row in store)
    return made, Forecast(
        images={split: len(made.dataset.part(split)) for split in ("train", *_HELD_OUT)},
        epochs=0 if ends_with_solved_head(made.backbone, made.plan, recipe) else recipe.train.epochs,
        patience=recipe.train.patience,
        seconds=seconds,
        store=store,
        pixel_bytes=_pixel_bytes(made),
        memory_bytes=None if peak is None else peak + mapped,
        memory_method=_MEMORY_METHOD,
        calibration_seconds=perf_counter() - started - scan,
    )


class _Trial:
    """Goes through a run in its order, a sample of each part; what costs nothing the second time is counted once."""

    def __init__(self, made: Preview, recipe: Recipe, maker: SourceMaker) -> None:
        self.made, self.recipe, self.maker = made, recipe, maker
        self.stored: dict[str, dict[str, Any]] = {}
        self._seconds = {"decode": 0.0, "trunk": 0.0, "tail": 0.0, "evaluate": 0.0}
        self._samples: dict[tuple[Cut, bool], tuple[TrunkPace, Features]] = {}
        self._scoring: dict[tuple[Cut, bool, str], TailPace] = {}

    def run(self) -> dict[str, float]:
        """Seconds of a run by part."""
        adapt = self._adapt()
        for number, planned in enumerate(self.made.phases):
            self._train(number, planned)
        self._evaluate()
        return {**adapt, **self._seconds}

    def _adapt(self) -> dict[str, float]:
        names = self.maker.norms_to_adapt()
        if not names:
            return {}
        images = self.maker.images("train", is_training=False)
        some = images.some(2 * TRUNK_BATCH)
        started = perf_counter()
        estimate_norms(self.made.backbone.model, names, some, self.made.device)
        return {"adapt": (perf_counter() - started) * len(images) / len(some)}

    def _train(self, number: int, planned: PlannedPhase) -> None:
        made = self.made
        cut = begin_phase(made, planned, self.recipe)
        state = self._state(number, planned.plan)
        train = TimedSource(self._source("train", cut, state), self.maker.targets("train"), STEP_SECONDS)
        has_val = not made.dataset.part("val").empty
        judging = self._score("val", cut, state) if has_val else 0.0
        if number == 0 and wants_solved_head(made.backbone, self.recipe):
            pooling = self._score("train", cut, state, self.recipe.train.precision)
            self._seconds["tail"] += pooling * train.views + judging
        if number == 0 and made.backbone.head != "linear" and self.recipe.head.kind == "auto":
            self._seconds["tail"] += self._score("train", cut, state) * train.views
        if ends_with_solved_head(made.backbone, made.plan, self.recipe):
            return
        steps, checkpoint = time_training(made, self.recipe, planned, cut, train)
        epochs = planned.phase.epochs * (steps.seconds(len(train.targets)) + judging)
        self._seconds["tail"] += epochs + min(planned.phase.epochs * checkpoint, SAVE_SHARE * epochs + checkpoint)

    def _evaluate(self) -> None:
        made, state = self.made, self._state(len(self.made.phases), self.made.plan)
        made.backbone.model.eval()
        for split in _HELD_OUT:
            if not made.dataset.part(split).empty:
                self._seconds["evaluate"] += self._score(split, made.cut, state)

    def _score(self, split: str, cut: Cut, state: str, arithmetic: str = FP32) -> float:
        """Seconds of one evaluation of a part."""
        source, targets = self._source(split, cut, state), self.maker.targets(split)
        known = (cut, split == "train", arithmetic)
        if known not in self._scoring:
            self._scoring[known] = time_scores(cut, TimedSource(source, targets, SCORE_SECONDS), arithmetic)
        return self._scoring[known].seconds(len(targets))

    def _source(self, split: str, cut: Cut, state: str) -> FeatureSource:
        """A sample of the source that the run makes; what the trunk and the store take for it is counted."""
        is_training, maker, device = split == "train", self.maker, self.made.device
        images, targets, trunk = maker.images(split, is_training=is_training), maker.targets(split), cut.trunk
        arithmetic = self.recipe.train.precision
        if trunk is None:
            return FreshSource(images, targets, None, device, scoring_arithmetic(arithmetic))
        if is_training and self.recipe.cache.mode == "fresh":
            return FreshSource(images, targets, fold_norms(trunk), device, arithmetic)
        identity, bridge = maker.identity(split, cut, state), maker.bridge(cut)
        part = trunk if bridge is None else bridge
        runner = fold_norms(part) if is_training else part
        sample = images if is_training else self._held_out_images()
        if bridge is not None:
            identity = replace(identity, made_from="the earliest cut")
            early = self._source(split, self.made.cut, self._state(0, self.made.plan))
            assert isinstance(early, StoredSource)
            if (cut, is_training) not in self._samples:
                self._samples[cut, is_training] = time_bridge(
                    runner, early, sample, identity.dtype, identity.arithmetic
                )
        elif (cut, is_training) not in self._samples:
            self._samples[cut, is_training] = time_trunk(runner, sample, device, identity.dtype, identity.arithmetic)
        pace, features = self._samples[cut, is_training]
        if identity.key not in self.stored:
            self.stored[identity.key] = _describe_stored(split, identity)
            decode, forward = pace.seconds(images)
            self._seconds["decode"] += decode
            self._seconds["trunk"] += forward
        return StoredSource(features, targets[: len(features[0])].contiguous(), device)

    def _held_out_images(self) -> ImageViews:
        """The larger of the parts that are looked at in the evaluation view."""
        return max((self.maker.images(split, is_training=False) for split in _HELD_OUT), key=len)

    def _state(self, number: int, plan: FreezePlan) -> str:
        """Stands for the digest of what `plan` freezes when phase `number` begins: equal where the values are equal."""
        earlier = [frozenset(_frozen_names(planned.plan)) for planned in self.made.phases[:number]]
        moved = {
            name: max((index for index, frozen in enumerate(earlier) if name not in frozen), default=-1)
            for name in sorted(_frozen_names(plan))
        }
        return hashlib.sha256(repr(moved).encode()).hexdigest()


def _pixel_bytes(made: Preview) -> int:
    usable = made.dataset.table[made.dataset.table["status"] == "ok"]
    files = {(digest, Path(path).suffix) for digest, path in zip(usable["sha256"], usable["path"], strict=True)}
    return sum(made.keeping.kept_bytes(*file) for file in files)


def _frozen_names(plan: FreezePlan) -> Iterable[str]:
    return plan.frozen_parameters | plan.frozen_buffers


def _describe_stored(split: str, identity: StoreIdentity) -> dict[str, Any]:
    return {
        "split": split,
        "images": len(identity.images),
        "views": identity.views,
        "dtype": identity.dtype,
        "bytes": identity.size_bytes,
    }
