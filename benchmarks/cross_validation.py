"""What a cross-validation costs beside one run of the plain PyTorch loop, in turns on the same machine.

    python -m benchmarks.cross_validation DATA --weights FILE --repeats 3

DATA is the folder of the comparison's sets (`benchmarks.peers`). The plain loop trains ten epochs on the training part
of the first cut and judges its test part; `finetune cv --folds 5`, with the default recipe and an empty store, holds
out every image of hymenoptera, and each of the 300 X-rays that the plain loop trains on, by patient; once, and twice.
Whole wall times of processes; rows go to docs/measured/cross_validation.jsonl.
"""

import csv
import shutil
import sys
from pathlib import Path
from statistics import median

import click

from benchmarks.peers.cuts import prepare_cut
from benchmarks.peers.jobs import MODEL, Job
from benchmarks.peers.running import ROOT, time_process
from benchmarks.peers.running_peer import peer_command
from benchmarks.peers.tools.task import read_rows
from benchmarks.results import append_result, read_results

SETS = ("hymenoptera", "chest_xray_pneumonia")
WHOLE = ("hymenoptera",)
"""Sets of which every image is held out; of the others those that the plain loop trains on."""
WAYS = {"plain loop": 0, "cv": 1, "cv, twice over": 2}
"""Repeats of the folds; 0 is the plain loop."""
RESULTS = ROOT / "docs" / "measured" / "cross_validation.jsonl"


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/cross_validation"), show_default=True)
@click.option("--set", "sets", type=click.Choice(SETS), multiple=True, default=SETS, show_default=True)
@click.option(
    "--repeats", type=int, default=3, show_default=True, help="Rounds, in each of which every way has a turn."
)
def command(data: Path, weights: Path, work: Path, sets: tuple[str, ...], repeats: int) -> None:
    """Measure, and print the medians as ratios."""
    for _ in range(repeats):
        for name in sets:
            for way in WAYS:
                seconds = _measure(data, weights.resolve(), work, name, way)
                append_result(RESULTS, {"set": name, "way": way, "seconds": round(seconds, 2)})
                click.echo(f"{name}, {way}: {seconds:.1f} s", err=True)
    click.echo("| set | way | seconds | of the plain loop |\n|---|---|---|---|")
    rows = read_results(RESULTS)
    for name in sets:
        taken = {way: [row["seconds"] for row in rows if (row["set"], row["way"]) == (name, way)] for way in WAYS}
        for way, measured in taken.items():
            share = median(measured) / median(taken["plain loop"])
            click.echo(f"| {name} | {way} | {median(measured):.1f} | {share:.2f} |")


def _measure(data: Path, weights: Path, work: Path, name: str, way: str) -> float:
    """Wall seconds of one process, with an empty store."""
    cut = prepare_cut(data, name, 0, work)
    folder = work / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    out = folder / "out"
    if WAYS[way] == 0:
        python = str((ROOT / ".bench-env" / "bin" / "python").absolute())
        call = peer_command(Job(name, "plain", 0), cut, str(weights), out)
    else:
        python = sys.executable
        manifest = _manifest(cut, name)
        call = ["-m", "finetune", "cv", str(manifest.resolve()), "--model", MODEL, "--weights", str(weights)]
        call += ["--folds", "5", "--repeats", str(WAYS[way]), "--out", str(out.resolve())]
    return time_process([python, *call], folder / "log.txt", folder / "store")


def _manifest(cut: Path, name: str) -> Path:
    """The images of a cut without its splits: all of them, or those of its training part."""
    manifest = cut.with_name("folds.csv")
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group"])
        rows = [row for row in read_rows(cut) if name in WHOLE or row.split == "train"]
        writer.writerows([row.path, row.label, row.group] for row in rows)
    return manifest


if __name__ == "__main__":
    command()
