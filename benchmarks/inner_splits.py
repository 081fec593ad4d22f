"""Inner splits: what may be looked at when something is chosen.

The comparison with other tools (`benchmarks.peers`) cuts each set three times into training and test images. Here the
training images of one of its cuts are cut once more, two thirds to one third, by group and class; the test images of
that cut are not looked at.
"""

import csv
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import finetune
from benchmarks.peers.cuts import prepare_cut
from benchmarks.peers.tools.task import read_rows
from benchmarks.results import Record, append_result, is_recorded, read_results
from recipes import load_recipe

CUTS = (0, 1, 2)
HELD_OUT = 1 / 3


@dataclass(frozen=True)
class Trial:
    """One run on inner splits: what tells it from every other (`set`, `cut`, `setting` among it), and its recipe."""

    record: Record
    recipe: str | None
    overrides: dict[str, Any]


def measure_missing(trials: Iterable[Trial], data: Path, work: Path, results: Path) -> None:
    """Run the trials that `results` does not hold; each adds a line with its balanced accuracy and timings."""
    with tempfile.TemporaryDirectory() as folder:
        for trial in trials:
            if is_recorded(read_results(results), trial.record):
                continue
            name, cut = trial.record["set"], trial.record["cut"]
            manifest, out = inner_manifest(data, name, cut, work), Path(folder) / "run"
            value = measure_balanced_accuracy(manifest, trial.recipe, trial.overrides | {"seed": cut}, out)
            timings = json.loads((out / "timings.json").read_text())
            append_result(results, trial.record | {"balanced_accuracy": value, "timings": timings})
            click.echo(f"{name}, cut {cut}, {trial.record['setting']}: {value:.4f}", err=True)


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
