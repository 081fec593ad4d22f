"""A guard against regressions without a clock: how often a run opens, decodes, runs, steps, hashes and writes.

Every number follows from the counts of images, views, epochs and batches. What a run does today and may do better is
said in one place: the constants below.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.optim.optimizer import register_optimizer_step_post_hook

import finetune
from finetune.features.images import TRUNK_BATCH
from finetune.freezing import FreezePlan, frozen_digest
from recipes import Recipe

SCAN_OPENS = 1
"""Openings of one image in a run: by the audit alone. Views, fresh epochs and the page read the pixels it kept."""
FROZEN_HASHES = 4
"""Passes over the frozen tensors in a run of one phase: before and after the run, before and after the phase."""
SOLVED_HEAD_CHECKPOINTS = 1
"""Checkpoints before the first step; then one an epoch, where the pace allows."""
CUT_FORWARDS = {"Trunk": 3, "Tail": 2}
CUT_IMAGES = {"Trunk": 2 + 3 + 2, "Tail": 2 + 2}
"""Passes with which a cut is found (two images, and three) and then checked against the whole in both modes."""
BRIDGE_IMAGES = 2
"""Images on which what leads from an earlier cut to a later one is checked, against the trunks of both."""
SCORED_TOGETHER = 64
"""Images in one evaluation batch of the tail."""


@dataclass
class Operations:
    """What was counted during one run."""

    opened: Counter[str] = field(default_factory=Counter)
    """Openings of files for reading, by path."""
    renamed: list[str] = field(default_factory=list)
    """Files that took their final place."""
    forwards: Counter[str] = field(default_factory=Counter)
    """Forward passes by the class of the graph: Trunk, FoldedTrunk, Tail; a tail in training is 'learning Tail'."""
    images: Counter[str] = field(default_factory=Counter)
    """Rows of the batches of those passes."""
    backwards: int = 0
    steps: int = 0
    frozen_hashes: int = 0


_present: list[Operations] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Counts what the interpreter itself reports, whichever function opened or renamed."""
    for operations in _present:
        if event == "open" and isinstance(arguments[0], str) and not arguments[2] & 0b11:
            operations.opened[arguments[0]] += 1
        elif event == "os.rename":
            operations.renamed.append(str(arguments[1]))


sys.addaudithook(_audit)  # there is no way to remove it; it does nothing while nobody counts


@contextmanager
def counting() -> Iterator[Operations]:
    """Count everything that happens inside."""
    found = Operations()
    plain_backward, plain_digest = torch.Tensor.backward, frozen_digest

    def after_forward(module: nn.Module, inputs: tuple[Any, ...], _: object) -> None:
        name = type(module).__name__
        if name in ("Trunk", "FoldedTrunk", "Bridge", "FoldedBridge", "Tail"):
            name = "learning Tail" if name == "Tail" and torch.is_grad_enabled() else name
            found.forwards[name] += 1
            found.images[name] += len(inputs[0])

    def after_step(*_: object) -> None:
        found.steps += 1

    def backward(tensor: torch.Tensor, *arguments: Any, **named: Any) -> None:
        found.backwards += 1
        plain_backward(tensor, *arguments, **named)

    def hash_frozen(model: nn.Module, plan: FreezePlan) -> str:
        found.frozen_hashes += 1
        return plain_digest(model, plan)

    handles = [register_module_forward_hook(after_forward), register_optimizer_step_post_hook(after_step)]
    _present.append(found)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "backward", backward)
            patch.setattr("finetune.jobs.training.frozen_digest", hash_frozen)
            yield found
    finally:
        _present.remove(found)
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class Work:
    """A run's own record of how much there was to do."""

    recipe: Recipe
    splits: Counter[str]
    epochs: int
    values: int
    """Numbers that cross the cut with one view."""

    @classmethod
    def of(cls, folder: Path, recipe: Recipe) -> "Work":
        cut = json.loads((folder / "freeze.json").read_text())["cut"]
        return cls(
            recipe,
            Counter(pd.read_csv(folder / "dataset.csv")["split"]),
            int((pd.read_csv(folder / "history.csv")["epoch"] > 0).sum()),
            sum(math.prod(tensor["shape"]) for tensor in cut),
        )

    @property
    def steps(self) -> int:
        """Gradient steps; a batch of one image is left out where there are others."""
        train, size = self.splits["train"], self.recipe.train.batch_size
        return self.epochs * batches(train - (train > size and train % size == 1), size)

    @property
    def trunk_batches(self) -> int:
        """Batches of the evaluation view of the held-out parts."""
        return sum(batches(self.splits[split], TRUNK_BATCH) for split in ("val", "test"))

    @property
    def scored_batches(self) -> int:
        """The views that the head is solved on, validation then and after every epoch, and both held-out parts."""
        val, test = (batches(self.splits[split], SCORED_TOGETHER) for split in ("val", "test"))
        return self.solved_batches + (1 + self.epochs) * val + val + test

    @property
    def solved_batches(self) -> int:
        """Batches that the head is solved on: every view of every training image."""
        return self.recipe.augment.views * batches(self.splits["train"], SCORED_TOGETHER)


def batches(count: int, size: int) -> int:
    return -(-count // size)


def images_opened(found: Operations, folder: Path) -> int:
    return sum(times for path, times in found.opened.items() if Path(path).is_relative_to(folder))


def checkpoints_written(found: Operations) -> int:
    return sum(Path(path).parent.name == "checkpoints" and path.endswith(".json") for path in found.renamed)


def stored_bytes(store: Path) -> int:
    return sum(file.stat().st_size for file in store.glob("features/*/*.bin"))


def changed(recipe: Recipe, **sections: dict[str, object]) -> Recipe:
    updates = {name: getattr(recipe, name).model_copy(update=values) for name, values in sections.items()}
    return recipe.model_copy(update=updates)


@pytest.mark.parametrize(("views", "epochs", "batch_size"), [(1, 1, 8), (3, 3, 29)])
def test_a_stored_run_looks_once_at_each_image_and_each_view_and_steps_once_a_batch(
    digits_folder: Path,
    small_recipe: Recipe,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    views: int,
    epochs: int,
    batch_size: int,
) -> None:
    monkeypatch.setattr("finetune.jobs.training.SAVE_SHARE", math.inf)
    training = {"epochs": epochs, "batch_size": batch_size}
    recipe = changed(small_recipe, augment={"views": views}, train=training, head={"start": "solved"})
    with counting() as found:
        finetune.run(digits_folder, recipe, tmp_path / "run")
    work = Work.of(tmp_path / "run", recipe)
    train, held_out = work.splits["train"], work.splits["val"] + work.splits["test"]
    assert (work.epochs, found.steps) == (epochs, work.steps)
    assert images_opened(found, digits_folder) == SCAN_OPENS * work.splits.total()
    assert found.images["FoldedTrunk"] == train * views
    assert found.forwards["FoldedTrunk"] == batches(train, TRUNK_BATCH // views)
    assert found.images["Trunk"] == held_out + CUT_IMAGES["Trunk"]
    assert found.forwards["Trunk"] == work.trunk_batches + CUT_FORWARDS["Trunk"]
    assert found.forwards["learning Tail"] == found.backwards == work.steps
    assert found.forwards["Tail"] == work.scored_batches + CUT_FORWARDS["Tail"]
    assert stored_bytes(store) == work.values * (2 * train * views + 4 * held_out)
    assert found.frozen_hashes == FROZEN_HASHES
    assert sum(times for path, times in found.opened.items() if path.endswith(".pth")) == 1
    assert checkpoints_written(found) == SOLVED_HEAD_CHECKPOINTS + epochs


@pytest.mark.usefixtures("store")
def test_another_tail_recipe_on_the_same_features_runs_no_trunk_and_opens_no_image_for_them(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    finetune.run(digits_folder, small_recipe, tmp_path / "first")
    second = changed(small_recipe, train={"learning_rate": 1e-3, "batch_size": 16, "epochs": 3})
    with counting() as found:
        finetune.run(digits_folder, second, tmp_path / "second")
    work = Work.of(tmp_path / "second", second)
    assert images_opened(found, digits_folder) == SCAN_OPENS * work.splits.total()
    assert found.forwards["FoldedTrunk"] == 0
    assert found.forwards["Trunk"] == CUT_FORWARDS["Trunk"]
    assert found.forwards["learning Tail"] == found.steps == work.steps


@pytest.mark.usefixtures("store")
def test_every_phase_takes_its_features_from_the_earliest_cut_and_the_trunk_looks_at_each_view_once(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = changed(small_recipe, freeze={"policy": "gradual"}, train={"epochs": 5, "patience": None})
    with counting() as found:
        finetune.run(digits_folder, recipe, tmp_path / "run")
    work, later = Work.of(tmp_path / "run", recipe), 2
    looks = work.splits["train"] * recipe.augment.views
    assert images_opened(found, digits_folder) == SCAN_OPENS * work.splits.total()
    assert found.images["FoldedTrunk"] == looks
    assert found.images["FoldedBridge"] == later * looks
    assert found.images["Bridge"] == later * (work.splits["val"] + BRIDGE_IMAGES)
    cuts = 1 + 3
    checks = cuts * CUT_IMAGES["Trunk"] + later * 2 * BRIDGE_IMAGES
    assert found.images["Trunk"] == work.splits["val"] + work.splits["test"] + checks


@pytest.mark.usefixtures("store")
def test_fresh_views_run_the_trunk_once_an_epoch_in_batches_of_the_tail(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = changed(small_recipe, cache={"mode": "fresh"}, head={"start": "solved"})
    with counting() as found:
        finetune.run(digits_folder, recipe, tmp_path / "run")
    work = Work.of(tmp_path / "run", recipe)
    assert images_opened(found, digits_folder) == SCAN_OPENS * work.splits.total()
    assert found.forwards["learning Tail"] == work.steps
    assert found.forwards["FoldedTrunk"] == work.steps + work.solved_batches
    assert found.forwards["Trunk"] == work.trunk_batches + CUT_FORWARDS["Trunk"]
