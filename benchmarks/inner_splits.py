"""Inner splits: what may be looked at when something is chosen.

The comparison with other tools (`benchmarks.peers`) cuts each set three times into training and test images. Here the
training images of one of its cuts are cut once more, two thirds to one third, by group and class; the test images of
that cut are not looked at.
"""

import csv
from pathlib import Path
from typing import Any

import finetune
from benchmarks.peers.cuts import prepare_cut
from benchmarks.peers.tools.task import read_rows
from recipes import load_recipe

CUTS = (0, 1, 2)
HELD_OUT = 1 / 3


def inner_manifest(data: Path, set_name: str, cut: int, work: Path) -> Path:
    """The training images of a cut of `set_name`, with their groups, as a manifest below `work`."""
    whole = prepare_cut(data, set_name, cut, work)
    inner = whole.with_name(f"inner-{cut}.csv")
    with inner.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group"])
        writer.writerows([row.path, row.label, row.group] for row in read_rows(whole) if row.split == "train")
    return inner


def measure_balanced_accuracy(manifest: Path, recipe: str | None, overrides: dict[str, Any], out: Path) -> float:
    """Balanced accuracy on the part held out inside, after a run of `recipe` into `out`, which is overwritten."""
    settings = {"data.test_fraction": HELD_OUT, **overrides}
    result = finetune.run(manifest, load_recipe(recipe, settings), out, overwrite=True)
    value = result.evaluation.overall["balanced_accuracy"].value
    if value is None:
        raise SystemExit(f"{manifest}: a class has no held-out image")
    return float(value)
