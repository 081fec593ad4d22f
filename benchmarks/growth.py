"""What a run costs as the images grow more: time, anonymous memory, and the store against its forecast.

python -m benchmarks.growth run --work FOLDER --results growth.jsonl
python -m benchmarks.growth table growth.jsonl --out docs/growth.md

Every run is a process of its own with an empty store, one view and one epoch; a run that the results hold already is
not made again. The sets (`benchmarks/grown_images.py`) stay in FOLDER, the runs and stores do not.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.grown_images import grow_images
from benchmarks.growth_verdicts import document, is_enough, judge
from benchmarks.processes import run_finetune
from benchmarks.results import Record, append_result, is_recorded, read_results

POLICIES = ("head-only", "first-three")
FIXED = ("augment.views=1", "train.epochs=1", "cache.mode=stored")


@click.group()
def main() -> None:
    """Measure and judge how cost grows with the number of images."""


def _numbers(context: click.Context, parameter: click.Parameter, text: str) -> list[int]:
    try:
        return sorted({int(number) for number in text.split(",")})
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no list of whole numbers such as 1000,5000") from error


@main.command("run")
@click.option("--source", type=click.Path(path_type=Path), default="../shared/data/chest_xray_pneumonia")
@click.option("--sizes", default="1000,5000,20000", show_default=True, callback=_numbers, help="Images of each set.")
@click.option("--policy", "policies", multiple=True, default=POLICIES, show_default=True, help="Shipped recipes.")
@click.option("--model", default="tf_efficientnet_lite0", show_default=True)
@click.option("--weights", default="embedded", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="KEY.PATH=VALUE", help="Any other recipe key.")
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Interleaved; medians count.")
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for the sets and the runs.")
@click.option("--results", type=click.Path(path_type=Path), required=True, help="JSON lines; added to.")
def run_command(
    source: Path,
    sizes: list[int],
    policies: Sequence[str],
    model: str,
    weights: str,
    settings: Sequence[str],
    repeats: int,
    work: Path,
    results: Path,
) -> None:
    """Make the sets, run every policy on every set, and add a line to the results for each run."""
    work.mkdir(parents=True, exist_ok=True)
    sets = grow_images(source, sizes, work)
    options = ["--weights", weights, *(word for text in (*FIXED, *settings) for word in ("--set", text))]
    for repeat in range(1, repeats + 1):
        for size in sizes:
            for policy in policies:
                wanted = {"source": source.resolve().name, "images": size, "policy": policy}
                wanted |= {"model": model, "settings": list(settings), "repeat": repeat}
                if is_recorded(read_results(results), wanted):
                    continue
                record = wanted | measure(sets[size], model, ["--recipe", policy, *options], work)
                append_result(results, record)
                click.echo(f"{policy}, {size} images: {record['seconds']:.1f} s", err=True)


def measure(data: Path, model: str, options: Sequence[str], work: Path) -> Record:
    """One forecast and one run on `data`: seconds, memory and bytes. What they leave in `work` is removed."""
    out, store = work / "run", work / "store"
    for folder in (out, store):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        planned = run_finetune(["plan", model, "--data", str(data), *options, "--json"], store)
        forecast: dict[str, Any] = json.loads(planned.output)["forecast"]
        run = run_finetune(["run", str(data), "--model", model, *options, "--out", str(out)], store)
        return {
            "seconds": run.seconds,
            "cpu_seconds": run.cpu_seconds,
            "peak_anonymous_bytes": run.peak_anonymous_bytes,
            "store_bytes": folder_bytes(store),
            "forecast_store_bytes": forecast["store"]["bytes"] + forecast["pixels"]["bytes"],
            "forecast_seconds": forecast["seconds"]["total"],
            "timings": json.loads((out / "timings.json").read_text()),
        }
    finally:
        for folder in (out, store):
            shutil.rmtree(folder, ignore_errors=True)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@main.command("table")
@click.argument("results", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), help="File for the page in Markdown.")
def table_command(results: Path, out: Path | None) -> None:
    """Judge the results; exit 1 where growth is more than is allowed."""
    judged = judge(read_results(results))
    if not judged:
        raise click.ClickException(f"{results}: holds no record; make some with `python -m benchmarks.growth run`")
    page = document(judged)
    click.echo(page, nl=False)
    if out is not None:
        out.write_text(page, encoding="utf-8")
    sys.exit(0 if is_enough(judged) else 1)


if __name__ == "__main__":
    main()
