"""Choosing inside each fold does not flatter: on labels of noise, what is chosen is no better than chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score

from data_tools import Dataset
from finetune.interrupts import StopRequest
from finetune.jobs.candidates import Candidate, list_choices, open_candidates
from finetune.jobs.fold_fitting import Watching
from finetune.jobs.folding import FoldCut, Folding
from finetune.jobs.planning import Preview, preview
from finetune.jobs.selecting import InnerScore, best_of, score_inside
from finetune.progress import silent, untracked
from finetune.timing import Stopwatch
from recipes import Recipe, change_recipe

IMAGES = 200
BODY = ["stem", "stage1", "stage2", "stage3"]
POLICIES = ("head-only", [*BODY, "blocks.*"], [*BODY, "blocks.5.*"], "first-three")
FOLDING = Folding(folds=5, select=tuple(("freeze.policy", policy) for policy in POLICIES), inner_folds=2)


@dataclass(frozen=True)
class Outcome:
    """Balanced accuracies over all folds of one seed: of each candidate, of what was chosen inside the folds, and of
    what would have been chosen by the held-out images themselves."""

    own: list[float]
    chosen: float
    peeking: float


@pytest.fixture(scope="module")
def noise_recipe() -> Recipe:
    values: dict[str, object] = {
        "model.name": "tf_efficientnet_lite0",
        "model.weights": "embedded",
        "model.image_size": 32,
        "augment.views": 1,
        "train.epochs": 4,
        "train.batch_size": 80,
        "train.learning_rate": 1e-3,
        "train.warmup_epochs": 0,
        "train.average_decay": None,
        "data.val_fraction": 0,
        "data.workers": 0,
    }
    return change_recipe(Recipe(), values)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory, noise_recipe: Recipe) -> tuple[Path, Preview]:
    """200 scanned digits in two folders that mean nothing; the recipe lets the networks learn such labels by heart."""
    root = tmp_path_factory.mktemp("noise")
    for number, image in enumerate(load_digits().images[:IMAGES]):
        (root / "ab"[number % 2]).mkdir(exist_ok=True)
        scan = Image.fromarray((image * 255 / 16).round().astype(np.uint8)).resize((32, 32))
        scan.save(root / "ab"[number % 2] / f"{number:03d}.png")
    return root, preview(root, change_recipe(noise_recipe, {"data.resplit": True}))


def with_noise(dataset: Dataset, seed: int) -> Dataset:
    """The same images with labels that were drawn anew, as many of each."""
    labels = np.random.default_rng(seed).permutation(dataset.table["label"].to_numpy())
    return replace(dataset, table=dataset.table.assign(label=labels))


def try_seed(data: Path, made: Preview, recipe: Recipe, seed: int) -> Outcome:
    """Five folds on one draw of labels."""
    own = replace(made, dataset=with_noise(made.dataset, seed))
    watching = Watching(Stopwatch(), untracked, silent, StopRequest())
    candidates = open_candidates(data, own, list_choices(recipe, FOLDING.select), watching)
    cut = FoldCut.of(own.dataset, change_recipe(recipe, {"seed": seed}), FOLDING)
    truth, answers = list[str](), {name: list[str]() for name in (*map(str, range(len(candidates))), "chosen", "peek")}
    for place in cut.places():
        dataset = cut.held_out(place)
        inner = score_inside(candidates, dataset, cut.units, FOLDING.inner_folds, "")
        outer = list(held_out_answers(candidates, dataset))
        truth += list(dataset.part("test")["label"])
        by_outer = [
            InnerScore("", float(balanced_accuracy_score(dataset.part("test")["label"], one)), 0.0) for one in outer
        ]
        for number, one in enumerate(outer):
            answers[str(number)] += one
        answers["chosen"] += outer[best_of(inner)]
        answers["peek"] += outer[best_of(by_outer)]
    scores = {name: float(balanced_accuracy_score(truth, one)) for name, one in answers.items()}
    return Outcome([scores[str(number)] for number in range(len(candidates))], scores["chosen"], scores["peek"])


def held_out_answers(candidates: Sequence[Candidate], dataset: Dataset) -> Iterator[list[str]]:
    for candidate in candidates:
        yield [str(answer) for answer in candidate.fitter.fit(dataset, splits=("test",)).predictions["predicted"]]


def check_no_leak(outcomes: Sequence[Outcome], tolerance: float) -> None:
    gains = [one.chosen - float(np.mean(one.own)) for one in outcomes]
    assert abs(float(np.mean([one.chosen for one in outcomes])) - 0.5) <= tolerance + 0.01
    assert abs(float(np.mean(gains))) <= tolerance


def peeked(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [replace(one, chosen=one.peeking) for one in outcomes]


@pytest.mark.parametrize(
    ("seeds", "tolerance"), [(2, 0.03), pytest.param(20, 0.02, marks=pytest.mark.slow)], ids=["sample", "whole"]
)
def test_choosing_inside_folds_does_not_leak(
    seeds: int, tolerance: float, noise: tuple[Path, Preview], noise_recipe: Recipe
) -> None:
    outcomes = [try_seed(*noise, noise_recipe, seed) for seed in range(seeds)]
    for one in outcomes:
        print(one)
    check_no_leak(outcomes, tolerance)
    with pytest.raises(AssertionError):
        check_no_leak(peeked(outcomes), tolerance)


def test_the_best_is_the_most_accurate_then_the_surest_then_the_first() -> None:
    scores = [
        InnerScore("a", 0.8, 0.5),
        InnerScore("b", 0.9, 0.6),
        InnerScore("c", 0.9, 0.4),
        InnerScore("d", 0.9, 0.4),
    ]
    assert best_of(scores) == 2


def test_inner_folds_never_see_the_held_out_images(noise: tuple[Path, Preview], noise_recipe: Recipe) -> None:
    """Whatever stands in the held-out part, the inner scores are the same."""
    data, made = noise
    watching = Watching(Stopwatch(), untracked, silent, StopRequest())
    candidates = open_candidates(data, made, list_choices(noise_recipe, FOLDING.select[:2]), watching)
    cut = FoldCut.of(made.dataset, noise_recipe, FOLDING)
    dataset = cut.held_out(next(cut.places()))
    table = dataset.table
    swapped = table["label"].mask(table["split"] == "test", table["label"].map({"a": "b", "b": "a"}))
    other = replace(
        dataset, table=table.assign(label=swapped, sha256=table["sha256"].mask(table["split"] == "test", ""))
    )
    assert score_inside(candidates, dataset, cut.units, 2, "") == score_inside(candidates, other, cut.units, 2, "")
