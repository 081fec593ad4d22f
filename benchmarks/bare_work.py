"""The bare work of a run on a sample of its images, in this process: decoding, pipelines, trunk and tail alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from data_tools import Pipeline, build_evaluation_pipeline, sample_seed
from finetune.backbones import Backbone, load_backbone
from finetune.features import FP32, computing_in, fold_norms
from finetune.features.images import TRUNK_BATCH
from finetune.freezing import Cut
from finetune.jobs.augmenting import training_pipeline
from finetune.jobs.planning import lock_and_cut, plan_recipe
from finetune.training.optimizer import make_optimizer
from recipes import Recipe

SCORED = 64
"""Images that the tail scores together."""

Features = tuple[Tensor, ...]


@dataclass(frozen=True)
class Sample:
    """Images of a run: their files, and the place of each one's class among `classes`."""

    files: tuple[Path, ...]
    targets: tuple[int, ...]
    classes: int


@dataclass(frozen=True)
class BareSeconds:
    """Seconds of one image or view in each part, and `start_up`: of what a run does once before its first image.

    `augment` and `fit` are the pipelines of training and of evaluation, `trunk` the folded one of training views,
    `plain_trunk` that of evaluation, `step` forward, loss, backward and optimizer, `score` the tail in evaluation,
    `pool` the same of a training view, which the head is solved on.
    """

    start_up: float
    decode: float
    augment: float
    fit: float
    trunk: float
    plain_trunk: float
    step: float
    score: float
    pool: float
    view_values: int
    """Numbers that cross the cut with one view; 0 without a trunk."""


def measure_bare(sample: Sample, recipe: Recipe, repeats: int) -> BareSeconds:
    """Measure every part on `sample`, the median of `repeats` passes. A network's first batch is not counted."""
    started = perf_counter()
    backbone, cut = _load(recipe, sample.classes)
    training = training_pipeline(recipe, backbone.preprocessing)
    evaluation = build_evaluation_pipeline(backbone.preprocessing)
    start_up = perf_counter() - started

    (decode, augment, fit), views, held_out = _time_images(sample, training, evaluation, recipe.seed, repeats)
    trunk, plain_trunk = 0.0, 0.0
    features: Features = (views,)
    if cut.trunk is not None:
        trunk, features = _time_trunk(fold_norms(cut.trunk), views, recipe.train.precision, repeats)
        plain_trunk, _ = _time_trunk(cut.trunk, held_out, FP32, repeats)
    step = _time_steps(cut.train_tail, backbone, features, torch.tensor(sample.targets), recipe, repeats)
    score, pool = (_time_scores(cut.eval_tail, features, way, repeats) for way in (FP32, recipe.train.precision))
    values = 0 if cut.trunk is None else sum(int(np.prod(shape)) for shape in cut.shapes)
    return BareSeconds(start_up, decode, augment, fit, trunk, plain_trunk, step, score, pool, values)


def _load(recipe: Recipe, classes: int) -> tuple[Backbone, Cut]:
    """What a run does before training: load, move to channels last, plan, lock, cut."""
    wanted = recipe.model
    backbone = load_backbone(
        wanted.name,
        wanted.weights,
        classes,
        key_map=wanted.key_map,
        image_size=wanted.image_size,
        channels=wanted.channels,
        dropout=recipe.head.dropout,
        seed=recipe.seed,
    )
    backbone.model.to(memory_format=torch.channels_last)
    plan, _ = plan_recipe(backbone, recipe)
    return backbone, lock_and_cut(backbone, plan, recipe, torch.device("cpu"))


def _time_images(
    sample: Sample, training: Pipeline, evaluation: Pipeline, seed: int, repeats: int
) -> tuple[np.ndarray, Tensor, Tensor]:
    """Seconds an image of decoding and of both pipelines, and what the pipelines gave."""
    seconds = np.zeros((repeats, 3))
    for number in range(repeats):
        views, fitted = [], []
        for file in sample.files:
            marks = [perf_counter()]
            pixels = _decode(file)
            marks.append(perf_counter())
            views.append(training(pixels, sample_seed(seed, 0, file.name)))
            marks.append(perf_counter())
            fitted.append(evaluation(pixels, 0))
            marks.append(perf_counter())
            seconds[number] += np.diff(marks)
    return np.median(seconds, axis=0) / len(sample.files), _as_images(views), _as_images(fitted)


def _decode(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def _as_images(views: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(views)).contiguous(memory_format=torch.channels_last)


def _time_trunk(trunk: nn.Module, images: Tensor, arithmetic: str, repeats: int) -> tuple[float, Features]:
    """Seconds a view, and the features as the tail takes them."""
    made: list[Features] = []

    def forward() -> None:
        made[:] = [trunk(images[chosen]) for chosen in _batches(len(images), TRUNK_BATCH)]

    with torch.inference_mode(), computing_in(arithmetic, trunk, images.device):
        trunk(images[:TRUNK_BATCH])
        seconds = _median_seconds(forward, repeats)
    return seconds / len(images), tuple(_as_stored(torch.cat(parts)) for parts in zip(*made, strict=True))


def _as_stored(feature: Tensor) -> Tensor:
    """A copy that gradients may flow past; images keep their channels last."""
    copy = feature.float().clone()
    return copy.contiguous(memory_format=torch.channels_last) if copy.ndim == 4 else copy


def _time_steps(
    tail: nn.Module, backbone: Backbone, features: Features, targets: Tensor, recipe: Recipe, repeats: int
) -> float:
    """Seconds an image of an epoch: forward, loss, backward and step, in batches of the recipe."""
    optimizer = make_optimizer(backbone.model, backbone.stages.parameters, recipe.train)
    batches = list(_batches(len(targets), recipe.train.batch_size))
    if len(targets) % recipe.train.batch_size == 1 and len(batches) > 1:
        batches.pop()  # a batch of one has no batch statistics

    def learn(chosen: slice) -> None:
        with computing_in(recipe.train.precision, tail, targets.device):
            logits = tail(*(feature[chosen] for feature in features))
        loss = functional.cross_entropy(logits.float(), targets[chosen], label_smoothing=recipe.train.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def learn_all() -> None:
        for chosen in batches:
            learn(chosen)

    tail.train()
    learn(batches[0])
    seen = sum(len(targets[chosen]) for chosen in batches)
    return _median_seconds(learn_all, repeats) / seen


def _time_scores(tail: nn.Module, features: Features, arithmetic: str, repeats: int) -> float:
    """Seconds an image of the tail in evaluation."""

    def score() -> None:
        for chosen in _batches(len(features[0]), SCORED):
            tail(*(feature[chosen] for feature in features))

    tail.eval()
    with torch.inference_mode(), computing_in(arithmetic, tail, features[0].device):
        tail(*(feature[:SCORED] for feature in features))
        return _median_seconds(score, repeats) / len(features[0])


def _batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _median_seconds(work: Callable[[], None], repeats: int) -> float:
    marks = [perf_counter()]
    for _ in range(repeats):
        work()
        marks.append(perf_counter())
    return float(np.median(np.diff(marks)))
