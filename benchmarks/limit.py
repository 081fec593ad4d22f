"""How close a run came to its limit: its seconds against those of the bare work that it could not do without.

python -m benchmarks.limit DATA --model NAME --weights FILE        makes a run, then measures it
python -m benchmarks.limit DATA --run RUN                          measures a run that is there

Bare work is measured in this process on a sample of the run's images and scaled to its counts: each image decoded
once, with as many processes as the run had; the trunk on each stored view, or each epoch where the run had fresh
ones; the tail forward, backward and stepped on each training image and epoch, and forward on each scored image and on
each view that a head was solved on first. The limit is the sum of these. It holds no pipeline: what bare augmentation
costs is told beside it.

`total` in timings.json begins after the imports of the command. What of it is start-up is measured here, in the same
order: weights read, network cut, image library loaded. Measure on a machine that does nothing else.
"""

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import torch

from benchmarks.bare_work import BareSeconds, Sample, measure_bare
from benchmarks.processes import Watched, run_finetune
from data_tools.memory import keep_freed_memory
from finetune.cli.options import data_argument, recipe_from, recipe_options
from finetune.jobs.augmenting import count_views
from recipes import Recipe, dump_recipe, list_phases, load_recipe

LIMIT, LEAST_SECONDS = 1.25, 60.0


@dataclass(frozen=True)
class RunRecord:
    """What a finished run says of itself."""

    recipe: Recipe
    root: Path
    table: pd.DataFrame
    timings: dict[str, float]
    environment: dict[str, Any]
    is_solved: bool
    """Whether the head was solved before the first step."""


@dataclass(frozen=True)
class Counts:
    """How often a run does what; `looks` are views of a training image that go through the trunk.

    `solved` are views of training images that the head was solved on, in all.
    """

    train: int
    val: int
    test: int
    looks: int
    solved: int
    epochs: int
    decoders: int


@click.command()
@data_argument
@recipe_options
@click.option("--run", "run_folder", type=click.Path(path_type=Path), help="A finished run; default: one is made.")
@click.option("--sample", type=click.IntRange(2), default=256, show_default=True, help="Images to measure on.")
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Passes; the median counts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(data: Path, run_folder: Path | None, sample: int, repeats: int, as_json: bool, **options: Any) -> None:
    """Compare a run with the sum of its bare work; exit 1 where a run of over a minute takes 1.25 times that."""
    if run_folder is not None and _shaping(options):
        raise click.UsageError("--run brings its own recipe; leave out the options that shape one")
    with tempfile.TemporaryDirectory() as folder:
        made = None
        if run_folder is None:
            run_folder = Path(folder) / "run"
            made = _make_run(data, recipe_from(options), run_folder, Path(folder))
        record = read_run(run_folder)
        torch.set_num_threads(int(record.environment["threads"]))
        keep_freed_memory()  # as a run does
        bare = measure_bare(draw_sample(record, sample), record.recipe, repeats)
    found = compare(record, count_work(record, bare), bare)
    found["process_seconds"] = None if made is None else made.seconds
    click.echo(json.dumps(found, indent=2) if as_json else table(found))
    sys.exit(1 if found["holds"] is False else 0)


def _shaping(options: dict[str, Any]) -> list[str]:
    """The options that were given; 0 is a value."""
    return [name for name, value in options.items() if value is not None and value is not False and value != ()]


def _make_run(data: Path, recipe: Recipe, out: Path, folder: Path) -> Watched:
    """`finetune run` in a process of its own, on an empty store."""
    (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    unrecorded = ["--device", recipe.train.device]
    if recipe.data.workers is not None:
        unrecorded += ["--workers", str(recipe.data.workers)]
    arguments = ["run", str(data), "--recipe", str(folder / "recipe.yaml"), *unrecorded, "--out", str(out)]
    return run_finetune(arguments, folder / "store")


def read_run(folder: Path) -> RunRecord:
    """The run in `folder`. Raises click.ClickException for one that is not finished or not of one phase on a CPU."""
    try:
        timings = json.loads((folder / "timings.json").read_text())
        environment = json.loads((folder / "environment.json").read_text())
        table = pd.read_csv(folder / "dataset.csv", dtype=str, keep_default_na=False)
        epochs = pd.read_csv(folder / "history.csv")["epoch"]
    except OSError as error:
        raise click.ClickException(f"{folder} holds no finished run ({error}); finish it with --resume") from error
    recipe = load_recipe(str(folder / "recipe.yaml"), {})
    if len(list_phases(recipe)) > 1 or environment["device"] != "cpu":
        raise click.ClickException(f"{folder}: runs of one phase on a CPU are measured; choose such a recipe")
    return RunRecord(
        recipe, Path(environment["data"]), table[table["status"] == "ok"], timings, environment, 0 in set(epochs)
    )


def draw_sample(record: RunRecord, size: int) -> Sample:
    """Images of the run at even distances, sorted by path, so that every class has its share."""
    labels = sorted(set(record.table["label"]))
    places = np.unique(np.linspace(0, len(record.table) - 1, min(size, len(record.table))).round().astype(int))
    rows = record.table.iloc[places]
    files = tuple(record.root / path for path in rows["path"])
    return Sample(files, tuple(labels.index(label) for label in rows["label"]), len(labels))


def count_work(record: RunRecord, bare: BareSeconds) -> Counts:
    """The counts of a run whose every image is decoded once."""
    recipe, sizes = record.recipe, record.table["split"].value_counts()
    epochs = int(record.timings["epochs"])
    views = count_views(recipe)
    train = int(sizes.get("train", 0))
    return Counts(
        train=train,
        val=int(sizes.get("val", 0)),
        test=int(sizes.get("test", 0)),
        looks=views if recipe.cache.mode == "stored" else epochs,
        solved=train * views if record.is_solved else 0,
        epochs=epochs,
        decoders=max(1, int(record.environment["workers"])),
    )


def bare_parts(counts: Counts, bare: BareSeconds) -> dict[str, float]:
    """Seconds of each part of the limit, under the names of timings.json."""
    held_out, views = counts.val + counts.test, counts.train * counts.looks
    return {
        "decode": bare.decode * (counts.train + held_out) / counts.decoders,
        "trunk": bare.trunk * views + bare.plain_trunk * held_out,
        "tail": counts.epochs * (bare.step * counts.train + bare.score * counts.val)
        + bare.pool * counts.solved
        + (bare.score * counts.val if counts.solved else 0),
        "evaluate": bare.score * held_out,
    }


def compare(record: RunRecord, counts: Counts, bare: BareSeconds) -> dict[str, Any]:
    """The run against its limit; `holds` is None for a run too short to be judged."""
    parts, total = bare_parts(counts, bare), record.timings["total"]
    views, held_out = counts.train * counts.looks, counts.val + counts.test
    augment = (bare.augment * views + bare.fit * held_out) / counts.decoders
    limit, spent = sum(parts.values()), total - bare.start_up
    named = {part: record.timings[part] for part in (*parts, "report")}
    return {
        "counts": asdict(counts),
        "parts": {part: {"bare": parts[part], "run": named[part]} for part in parts},
        "report_seconds": named["report"],
        "rest_seconds": total - sum(named.values()) - bare.start_up,
        "start_up_seconds": bare.start_up,
        "total_seconds": total,
        "bare_seconds": limit,
        "augment_seconds": augment,
        "ratio": spent / limit,
        "ratio_with_augmentation": spent / (limit + augment),
        "limit": LIMIT,
        "holds": spent / limit <= LIMIT if total > LEAST_SECONDS else None,
    }


def table(found: dict[str, Any]) -> str:
    """The comparison in words and columns."""
    counts = ", ".join(f"{name} {count}" for name, count in found["counts"].items())
    lines = [counts, f"{'part':<22}{'bare s':>10}{'run s':>10}{'ratio':>8}"]
    for part, seconds in found["parts"].items():
        lines.append(_row(part, seconds["bare"], seconds["run"]))
    lines.append(_row("report", None, found["report_seconds"]))
    lines.append(_row("scan and the rest", None, found["rest_seconds"]))
    lines.append(_row("total less start-up", found["bare_seconds"], found["total_seconds"] - found["start_up_seconds"]))
    lines.append(_row("start-up, within total", None, found["start_up_seconds"]))
    if found["process_seconds"] is not None:
        lines.append(_row("whole process", None, found["process_seconds"]))
    lines.append(
        f"Bare augmentation would take {found['augment_seconds']:.2f} s; with it the ratio is "
        f"{found['ratio_with_augmentation']:.2f}."
    )
    words = {True: "holds", False: "does not hold", None: f"is for runs of over {LEAST_SECONDS:.0f} s"}
    lines.append(f"Total less start-up at most {LIMIT} times the bare work: {words[found['holds']]}.")
    return "\n".join(lines)


def _row(name: str, bare: float | None, run: float) -> str:
    held = "" if bare is None else f"{bare:.2f}"
    return f"{name:<22}{held:>10}{run:>10.2f}{f'{run / bare:.2f}' if bare else '':>8}"


if __name__ == "__main__":
    main()
