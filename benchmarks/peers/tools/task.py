"""What a tool is asked for and what it leaves: the same for every tool."""

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

SETTINGS_FILE = "settings.json"
PREDICTIONS_FILE = "predictions.csv"
_PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow")


@dataclass(frozen=True)
class Row:
    """One image of the manifest."""

    path: str
    label: str
    group: str
    split: str


@dataclass(frozen=True)
class Task:
    """One set, cut and seed for one tool."""

    root: Path
    """Folder to which the rows' paths are relative."""
    rows: tuple[Row, ...]
    out: Path
    model: str
    weights: str
    """A weights file, or `none` for random ones."""
    seed: int
    policy: str | None
    """What stays frozen where every tool must do the same work; None: each as it is documented."""
    epochs: int | None
    """Epochs that the comparison sets; None: as the tool is documented."""
    batch_size: int | None
    image_size: int | None

    @property
    def labels(self) -> list[str]:
        """The classes, sorted as text."""
        return sorted({row.label for row in self.rows})

    @property
    def is_pretrained(self) -> bool:
        """Whether there are weights to start from."""
        return self.weights != "none"

    @property
    def timm_options(self) -> dict[str, Any]:
        """For `timm.create_model`: weights from the file, and from nowhere else."""
        return {"pretrained_cfg_overlay": {"file": self.weights}} if self.is_pretrained else {}

    def part(self, split: str) -> list[Row]:
        """The rows of one split, in the order of the manifest."""
        return [row for row in self.rows if row.split == split]

    def targets(self, split: str) -> list[int]:
        """The places of the labels of one split in `labels`."""
        places = {label: place for place, label in enumerate(self.labels)}
        return [places[row.label] for row in self.part(split)]


def read_rows(manifest: Path) -> tuple[Row, ...]:
    """The rows of a manifest, in its order."""
    with manifest.open(newline="", encoding="utf-8") as file:
        return tuple(Row(**row) for row in csv.DictReader(file))


def read_task() -> Task:
    """The task of the command line. With `--imports-only` the process ends here: that is its start-up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--imports-only", action="store_true")
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--model", default="tf_efficientnet_lite0")
    parser.add_argument("--weights", default="none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--policy", choices=["first-three", "head-only", "full"])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--image-size", type=int)
    given = parser.parse_args()
    if given.imports_only:
        sys.exit(0)
    if given.manifest is None or given.out is None:
        parser.error("--manifest and --out are needed")
    return Task(
        root=given.manifest.parent,
        rows=read_rows(given.manifest),
        out=given.out,
        model=given.model,
        weights=given.weights,
        seed=given.seed,
        policy=given.policy,
        epochs=given.epochs,
        batch_size=given.batch_size,
        image_size=given.image_size,
    )


def write_results(
    task: Task,
    scores: Iterable[Sequence[float]],
    settings: Mapping[str, object],
    *,
    epochs: int,
    views: int,
    packages: Sequence[str] = (),
) -> None:
    """Write the scores of the test images, a row each, and what the tool did: settings, epochs, views, versions.

    `views` counts how many versions of a training image the tool looked at.
    """
    labels = task.labels
    task.out.mkdir(parents=True, exist_ok=True)
    with (task.out / PREDICTIONS_FILE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "group", "split", "predicted", *(f"score_{label}" for label in labels)])
        for row, own in zip(task.part("test"), scores, strict=True):
            numbers = [float(score) for score in own]
            predicted = labels[max(range(len(labels)), key=numbers.__getitem__)]
            table.writerow([row.path, row.label, row.group, row.split, predicted, *numbers])
    facts = {
        "settings": dict(settings),
        "epochs": epochs,
        "views": views,
        "versions": {name: version(name) for name in (*_PACKAGES, *packages)},
    }
    (task.out / SETTINGS_FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
