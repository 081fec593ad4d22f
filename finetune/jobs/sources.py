"""Choose where the tail's batches come from, and make them ready."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from data_tools import Pipeline, build_evaluation_pipeline, build_training_pipeline
from finetune.features import (
    FeatureSource,
    FeatureStore,
    FreshSource,
    ImageViews,
    StoredSource,
    StoreIdentity,
    Viewer,
    default_store_folder,
    estimate_trunk_norm,
    fold_norms,
    run_trunk,
)
from finetune.features.images import TRUNK_BATCH
from finetune.freezing import frozen_digest
from finetune.jobs.folder import package_versions
from finetune.jobs.planning import Preview
from finetune.progress import Say, Track
from finetune.timing import Stopwatch
from recipes import Recipe

_DTYPES = {"fp16": "float16", "fp32": "float32"}


@dataclass(frozen=True)
class Sources:
    """Training views, and the evaluation view of the other parts; `val` is absent where it is empty."""

    train: FeatureSource
    val: FeatureSource | None
    test: FeatureSource


@dataclass(frozen=True)
class _Kitchen:
    """What every source is made with."""

    made: Preview
    recipe: Recipe
    store: FeatureStore
    mode: str
    watch: Stopwatch
    track: Track
    say: Say

    def source(self, split: str, pipeline: Pipeline, views: int, dtype: str) -> FeatureSource:
        """The source of one part of the data."""
        images = self.images(split, pipeline, views)
        targets = self.targets(split)
        trunk, device = self.made.cut.trunk, self.made.device
        if trunk is not None and split == "train":
            trunk = fold_norms(trunk)
        is_fresh = self.mode == "fresh" and split == "train"
        if trunk is None or is_fresh:
            return FreshSource(images, targets, trunk, device)
        identity = self.identity(split, pipeline, views, dtype)
        stored = self.store.open(identity)
        if stored is None:
            stored = self.store.build(
                identity,
                run_trunk(trunk, images, device, label=f"trunk, {split}", track=self.track, watch=self.watch),
            )
        else:
            self.say(f"Features of the {split} part were found in the store; no image was decoded for them.")
        return StoredSource(stored, targets, device)

    def images(self, split: str, pipeline: Pipeline, views: int) -> ImageViews:
        viewer = Viewer(pipeline, self.recipe.seed, self.made.workers)
        return ImageViews(self.made.dataset.root, self.paths(split), viewer, views=range(views))

    def paths(self, split: str) -> list[str]:
        return [str(path) for path in self.made.dataset.part(split)["path"]]

    def targets(self, split: str) -> torch.Tensor:
        index = {label: number for number, label in enumerate(self.made.dataset.labels)}
        return torch.tensor([index[label] for label in self.made.dataset.part(split)["label"]], dtype=torch.long)

    def identity(self, split: str, pipeline: Pipeline, views: int, dtype: str) -> StoreIdentity:
        part = self.made.dataset.part(split)
        return StoreIdentity(
            images=tuple(zip(part["path"], part["sha256"], strict=True)),
            pipeline=pipeline.description,
            seed=self.recipe.seed,
            views=views,
            backbone=self.made.backbone.name,
            frozen_sha256=frozen_digest(self.made.backbone.model, self.made.plan),
            is_folded=split == "train",
            cut=self.made.cut.names,
            shapes=self.made.cut.shapes,
            dtype=dtype,
            batch_size=TRUNK_BATCH,
            threads=torch.get_num_threads(),
            device=str(self.made.device),
            versions=tuple(sorted(package_versions().items())),
        )


def make_sources(made: Preview, recipe: Recipe, watch: Stopwatch, *, track: Track, say: Say) -> Sources:
    """Estimate norm statistics where the weights are random, run the trunk, and hand out the sources."""
    budget = recipe.cache.budget_gb
    store = FeatureStore(default_store_folder(), None if budget is None else int(budget * 1e9))
    training = build_training_pipeline(recipe.augment.preset, made.backbone.preprocessing)
    evaluation = build_evaluation_pipeline(made.backbone.preprocessing)
    views = recipe.augment.views if recipe.augment.preset != "none" else 1
    kitchen = _Kitchen(made, recipe, store, "stored", watch, track, say)
    if not made.backbone.is_pretrained:
        images = kitchen.images("train", evaluation, 1)
        estimate_trunk_norm(made.backbone.model, made.plan, images, made.device, track=track)
    mode = _choose_mode(kitchen, training, views, say)
    kitchen = _Kitchen(made, recipe, store, mode, watch, track, say)
    dtype = _DTYPES[recipe.cache.dtype]
    parts: Sequence[str] = [split for split in ("val", "test") if not made.dataset.part(split).empty]
    held_out = {split: kitchen.source(split, evaluation, 1, "float32") for split in parts}
    return Sources(kitchen.source("train", training, views, dtype), held_out.get("val"), held_out["test"])


def _choose_mode(kitchen: _Kitchen, pipeline: Pipeline, views: int, say: Say) -> str:
    wish = kitchen.recipe.cache.mode
    if kitchen.made.cut.trunk is None:
        return "whole"
    if wish != "auto":
        return wish
    size = kitchen.identity("train", pipeline, views, _DTYPES[kitchen.recipe.cache.dtype]).size_bytes
    if kitchen.store.has_room(size):
        return "stored"
    say(
        f"Features of {views} views would take {size / 1e9:.1f} GB, more than the store's budget of "
        f"{kitchen.store.budget() / 1e9:.1f} GB: the trunk runs anew each epoch (cache.mode fresh)."
    )
    return "fresh"
