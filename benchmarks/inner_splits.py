"""Inner splits: what may be looked at when something is chosen, without any image that a reported number speaks of."""

import csv
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import finetune
from data_tools import DatasetSettings, prepare_dataset
from recipes import load_recipe

REPORTED_SEEDS = (0, 1, 2)
INNER_SEEDS = (11, 12, 13)
LEAST_IMAGES = 8
"""Classes with fewer inner images are left out."""
METADATA, GROUP = "metadata.csv", "group"


@dataclass(frozen=True)
class InnerImages:
    """A folder of class folders, and what a recipe must say of it."""

    folder: Path
    overrides: dict[str, Any]


def copy_inner_images(data: Path, target: Path, settings: DatasetSettings | None = None) -> InnerImages:
    """Copy to `target` the images of `data` that are in the test part of no reported seed.

    `settings` says how the reported runs cut `data`; its seed does not count. Groups are kept in a table beside the
    class folders, so that inner cuts respect them too.
    """
    wanted = settings or DatasetSettings()
    made = [prepare_dataset(data, replace(wanted, seed=seed)) for seed in REPORTED_SEEDS]
    held_out = {str(path) for one in made for path in one.part("test")["path"]}
    rows = made[0].table[made[0].table["status"] == "ok"].to_dict("records")
    kept = [row for row in rows if row["path"] not in held_out]
    sizes = Counter(row["label"] for row in kept)
    kept = [row for row in kept if sizes[row["label"]] >= LEAST_IMAGES]
    groups = {_copy(made[0].root / row["path"], target / row["label"]): row["group"] for row in kept}
    if not any(groups.values()):
        return InnerImages(target, {})
    with (target / METADATA).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", GROUP])
        writer.writerows((path.relative_to(target).as_posix(), group) for path, group in groups.items())
    return InnerImages(target, {"data.metadata": str(target / METADATA), "data.group": GROUP})


def _copy(file: Path, folder: Path) -> Path:
    """Copy under its own name, or where that is taken under one that tells the folders it came from."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / file.name
    if place.exists():
        place = folder / "-".join(file.parts[-3:])
    shutil.copy(file, place)
    return place


def measure_balanced_accuracy(inner: InnerImages, recipe: str | None, overrides: dict[str, Any], out: Path) -> float:
    """Balanced accuracy on the part held out inside, after a run of `recipe` into `out`, which is overwritten."""
    result = finetune.run(inner.folder, load_recipe(recipe, inner.overrides | overrides), out, overwrite=True)
    value = result.evaluation.overall["balanced_accuracy"].value
    if value is None:
        raise SystemExit(f"{inner.folder}: a class has no held-out image")
    return float(value)
