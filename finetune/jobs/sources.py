"""Choose where the tail's batches come from, and make them ready."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import torch
from torch import nn

from data_tools import Pipeline, build_evaluation_pipeline
from finetune.cache import default_cache_folder
from finetune.features import (
    BF16,
    FP16,
    FP64,
    FeatureSource,
    FeatureStore,
    FreshSource,
    ImageViews,
    StoredSource,
    StoreIdentity,
    Viewer,
    choose_arithmetic,
    describe_device,
    estimate_norms,
    fold_norms,
    run_bridge,
    run_trunk,
    scoring_arithmetic,
)
from finetune.features.images import AHEAD, TRUNK_BATCH
from finetune.freezing import Cut, bridge_cuts, frozen_digest
from finetune.jobs.augmenting import count_views, training_pipeline
from finetune.jobs.folder import package_versions
from finetune.jobs.keeping import cache_bytes
from finetune.jobs.part_store import PartStore
from finetune.jobs.planning import Preview, begin_phase, example_images
from finetune.jobs.source_planning import plan_source, recalled, with_precision
from finetune.progress import Say, Track
from finetune.ranks import ALONE, Ranks
from finetune.timing import Stopwatch
from finetune.training import TailData
from recipes import Recipe

_DTYPES = {"auto": "float16", "fp16": "float16", "fp32": "float32"}
_HALVES = (BF16, FP16)


class _Shown(TypedDict):
    """How the work of a trunk is told."""

    label: str
    track: Track
    watch: Stopwatch


class SourceMaker:
    """Makes the sources of a run's parts: training views for `train`, the evaluation view for the others."""

    def __init__(
        self,
        made: Preview,
        recipe: Recipe,
        watch: Stopwatch,
        *,
        track: Track,
        say: Say,
        check: Callable[[], None] = lambda: None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.made, self.recipe, self.watch, self.track, self.say, self.check = made, recipe, watch, track, say, check
        self.ranks = ranks
        self.store = FeatureStore(default_cache_folder(), cache_bytes(recipe))
        self._parts = PartStore(self.store, ranks, may_widen=recipe.cache.dtype == "auto", say=say, check=check)
        self._held: dict[tuple[str, Cut], FeatureSource] = {}
        self._bridges: dict[Cut, nn.Module | None] = {}

    def settle(self, earlier: Path | None = None) -> Recipe:
        """Choose source and arithmetic once for the whole run, say so, and give the recipe with them filled in.

        `earlier` is where the recipe of the run lies that is resumed, if it is.
        """
        recipe = self.recipe if earlier is None else recalled(self.recipe, earlier)
        self.recipe = with_precision(recipe, choose_arithmetic(recipe.train.precision, self.made.device))
        self._tell_arithmetic(is_wished=recipe.train.precision != "auto")
        plan = plan_source(self.recipe, self._largest_identity(), self.store.budget(), self.made.workers)
        self.recipe = plan.recipe
        self.say(plan.sentence)
        return self.recipe

    def _tell_arithmetic(self, *, is_wished: bool) -> None:
        arithmetic = self.recipe.train.precision
        if arithmetic in _HALVES:
            how = "as the recipe says" if is_wished else "which this CPU multiplies natively"
            self.say(f"Training views are computed in {arithmetic}, {how}; scores in fp32.")
        elif arithmetic == FP64:
            self.say(
                "Everything is computed in fp64, as the recipe says: for proofs. It is slow, and stored features take "
                "four times the room that they take in fp16."
            )

    def _largest_identity(self) -> StoreIdentity | None:
        """Of the largest training features of any phase, None where none has a trunk.

        What is frozen throughout has the earliest cut, and so the largest features; where that is
        nothing, as when the last phase is `full`, the phases are asked one by one.
        """
        made = self.made
        is_told = made.cut.trunk is not None or len(made.phases) == 1
        cuts = [made.cut] if is_told else [begin_phase(made, planned, self.recipe) for planned in made.phases]
        identities = [self.identity("train", cut, "") for cut in cuts if cut.trunk is not None]
        return max(identities, key=lambda identity: identity.size_bytes, default=None)

    def adapt_norms(self) -> None:
        """Give the frozen BatchNorm layers the statistics of the training images, where the recipe or the weights ask.

        With random weights every layer that will stand still needs them: what it holds means nothing.
        """
        names = self.norms_to_adapt()
        if names:
            images = self.images("train", is_training=False)
            estimate_norms(self.made.backbone.model, names, images, self.made.device, track=self.track)

    def norms_to_adapt(self) -> frozenset[str]:
        """Modules whose BatchNorm statistics are estimated before the run; empty where none are."""
        first = self.made.phases[0].plan
        names = first.frozen_norms if self.recipe.freeze.norm == "adapt" else frozenset[str]()
        return names if self.made.backbone.is_pretrained else names | first.eval_modules

    def parts(self, splits: Iterable[str], cut: Cut, frozen_sha256: str) -> dict[str, FeatureSource]:
        """The sources of the splits that hold images; `frozen_sha256` is the digest of what `cut` rests on."""
        filled = [split for split in splits if not self.made.dataset.part(split).empty]
        for split in filled:
            if (split, cut) not in self._held:
                self._held[split, cut] = self._source(split, cut, frozen_sha256)
        return {split: self._held[split, cut] for split in filled}

    def close(self) -> None:
        """Let go of all sources, so that what they have stored is in use no longer."""
        self._held.clear()

    def hold(self, split: str, cut: Cut, source: FeatureSource) -> None:
        """Hand out `source` for the features of a part at `cut`."""
        self._held[split, cut] = source

    def go_over_to(self, made: Preview) -> None:
        """Make sources for another backbone on the same data."""
        self.made = made

    def tail_data(self, sources: Mapping[str, FeatureSource]) -> TailData:
        """What the tail learns from, of the sources of `train` and, if there is one, `val`."""
        part = self.made.dataset.part("train")
        return TailData(
            sources["train"],
            sources.get("val"),
            len(self.made.dataset.labels),
            names=[str(path) for path in part["path"]],
            groups=list(part["group"].where(part["group"] != "", part["sha256"])),
        )

    def _source(self, split: str, cut: Cut, frozen_sha256: str) -> FeatureSource:
        is_training, trunk = split == "train", cut.trunk
        is_fresh = is_training and self.recipe.cache.mode == "fresh"
        if trunk is not None and not is_fresh:
            return self._stored_source(split, cut, trunk, frozen_sha256)
        images, targets = self.images(split, is_training=is_training), self.targets(split)
        arithmetic = self.recipe.train.precision
        if trunk is None:
            return FreshSource(images, targets, None, self.made.device, scoring_arithmetic(arithmetic))
        return FreshSource(images, targets, fold_norms(trunk), self.made.device, arithmetic)

    def _stored_source(self, split: str, cut: Cut, trunk: nn.Module, frozen_sha256: str) -> StoredSource:
        """The source of a part whose features are kept, made where they are not there; `trunk` is that of `cut`."""
        is_training, device = split == "train", self.made.device
        images = self.images(split, is_training=is_training)
        identity = self.identity(split, cut, frozen_sha256)
        shown = _Shown(label=f"trunk, {split}", track=self.track, watch=self.watch)
        bridge, arithmetic = self.bridge(cut), identity.arithmetic
        part = trunk if bridge is None else bridge
        runner = fold_norms(part) if is_training else part
        if bridge is None:

            def compute(order: range) -> Iterator[tuple[torch.Tensor, ...]]:
                return run_trunk(runner, images, device, arithmetic=arithmetic, order=order, **shown)

        else:
            key, early = self._earliest(split)
            identity = replace(identity, made_from=key)

            def compute(order: range) -> Iterator[tuple[torch.Tensor, ...]]:
                return run_bridge(runner, early, order, arithmetic=arithmetic, **shown)

        return StoredSource(self._parts.features(split, identity, compute), self.targets(split), device)

    def bridge(self, cut: Cut) -> nn.Module | None:
        """What makes the features of a phase's cut of those of the earliest one, which a later phase needs anyway."""
        if cut.names == self.made.cut.names:
            return None
        if cut not in self._bridges:
            example = example_images(self.made.backbone, self.made.device)
            self._bridges[cut] = bridge_cuts(self.made.cut, cut, example)
        return self._bridges[cut]

    def _earliest(self, split: str) -> tuple[str, StoredSource]:
        """The source at the earliest cut, whose trunk no phase changes, and the key of what it has stored."""
        digest = frozen_digest(self.made.backbone.model, self.made.plan)
        source = self.parts((split,), self.made.cut, digest)[split]
        assert isinstance(source, StoredSource)
        return self.identity(split, self.made.cut, digest).key, source

    def images(self, split: str, *, is_training: bool) -> ImageViews:
        """The images of one part, in the views of training or of evaluation."""
        views = count_views(self.recipe) if is_training else 1
        plain = self._pipeline(is_training=False)
        pipeline = self._pipeline(is_training)
        ahead = 0 if self.made.device.type == "cpu" else AHEAD
        viewer = Viewer(pipeline, self.recipe.seed, self.made.workers, self.made.keeping, plain, ahead)
        part = self.made.dataset.part(split)
        paths, digests = ([str(value) for value in part[column]] for column in ("path", "sha256"))
        return ImageViews(self.made.dataset.root, paths, viewer, range(views), digests)

    def _dtype(self, is_training: bool) -> str:
        """The type in which features are stored."""
        if self.recipe.train.precision == FP64:
            return "float64"
        return _DTYPES[self.recipe.cache.dtype] if is_training else "float32"

    def _pipeline(self, is_training: bool) -> Pipeline:
        preprocessing = self.made.backbone.preprocessing
        if is_training:
            return training_pipeline(self.recipe, preprocessing)
        return build_evaluation_pipeline(preprocessing)

    def _descriptions(self, is_training: bool) -> list[str]:
        """Of the pipelines that a part goes through, each once."""
        return list(dict.fromkeys(self._pipeline(kind).description for kind in (False, is_training)))

    def targets(self, split: str) -> torch.Tensor:
        """The class of each image of one part, as its place among the labels: (images,)."""
        index = {label: number for number, label in enumerate(self.made.dataset.labels)}
        return torch.tensor([index[label] for label in self.made.dataset.part(split)["label"]], dtype=torch.long)

    def identity(self, split: str, cut: Cut, frozen_sha256: str) -> StoreIdentity:
        """Everything that shapes the features of one part at `cut`."""
        part, is_training = self.made.dataset.part(split), split == "train"
        arithmetic = self.recipe.train.precision
        return StoreIdentity(
            images=tuple(zip(part["path"], part["sha256"], strict=True)),
            pipeline="\n".join([self.made.dataset.scaling.facts, *self._descriptions(is_training)]),
            seed=self.recipe.seed,
            views=count_views(self.recipe) if is_training else 1,
            backbone=self.made.backbone.description,
            frozen_sha256=frozen_sha256,
            is_folded=is_training,
            arithmetic=arithmetic if is_training else scoring_arithmetic(arithmetic),
            made_from="",
            cut=cut.names,
            shapes=cut.shapes,
            dtype=self._dtype(is_training),
            batch_size=TRUNK_BATCH,
            threads=torch.get_num_threads(),
            device=describe_device(self.made.device),
            versions=tuple(sorted(package_versions().items())),
        )
