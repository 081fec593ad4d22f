"""The commands of the comparison: plan, run, all, table."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.peers.drawn import DRAWN, drawn_weights
from benchmarks.peers.errors import PeerError
from benchmarks.peers.jobs import MODEL, POLICIES, SEEDS, TOOLS, Job, Variant, plan_jobs
from benchmarks.peers.page import write_page
from benchmarks.peers.results import append_result, read_results
from benchmarks.peers.running import Places, run_job
from benchmarks.peers.sets import SETS, find_set

_PATH = click.Path(path_type=Path)
_RESULTS = click.option("--results", type=_PATH, required=True, metavar="FILE.jsonl", help="One line for each run.")
_RUNNING = (
    click.option("--model", default=MODEL, show_default=True, help="The backbone, by timm's name."),
    click.option("--same-work", type=click.Choice(POLICIES), help="One policy, epochs and batch size for every tool."),
    click.option("--data", type=_PATH, required=True, help="Folder that holds the sets' folders."),
    click.option("--weights", required=True, metavar="FILE|drawn", help="The backbone's weights for every tool."),
    _RESULTS,
    click.option("--work", type=_PATH, required=True, help="Folder for cuts, logs and predictions."),
    click.option(
        "--python", type=_PATH, default=Path(".bench-env/bin/python"), show_default=True, help="Of the peers."
    ),
)
_SELECTING = (
    click.option("--sets", default=",".join(SETS), show_default=True),
    click.option("--tools", default=",".join(TOOLS), show_default=True),
    click.option("--seeds", default=",".join(map(str, SEEDS)), show_default=True),
)
Command = Callable[..., None]


def _running(command: Command) -> Command:
    for option in reversed(_RUNNING):
        command = option(command)
    return command


def _selecting(command: Command) -> Command:
    for option in reversed(_SELECTING):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Compare tailtune with other tools on the same images, cuts, backbone and weights."""


@main.command()
@click.option("--set", "set_name", required=True, help="A set; with -1024 behind it, enlarged to PNG of 1024 pixels.")
@click.option("--tool", required=True, type=click.Choice(TOOLS))
@click.option("--seed", required=True, type=int, help="Of the cut and of the tool.")
@_running
def run(set_name: str, tool: str, seed: int, **options: Any) -> None:
    """Run one set, tool and seed, and add its result to the results file."""
    _run_and_keep(Job(set_name, tool, seed, _variant(options)), options)


@main.command()
@_selecting
@_running
def plan(sets: str, tools: str, seeds: str, **options: Any) -> None:
    """Print the commands of every run, in interleaved order."""
    for job in _jobs(sets, tools, seeds, options):
        click.echo(_command_line(job, options))


@main.command("all")
@_selecting
@_running
def run_all(sets: str, tools: str, seeds: str, **options: Any) -> None:
    """Run what `plan` prints, but what has a result already; exit 1 where a tool failed."""
    done = {result.job.key for result in read_results(options["results"])}
    failures = 0
    for job in _jobs(sets, tools, seeds, options):
        if job.key in done:
            continue
        try:
            _run_and_keep(job, options)
        except PeerError as error:
            failures += 1
            click.echo(f"{' '.join(map(str, job.key))}: {error}", err=True)
    sys.exit(1 if failures else 0)


@main.command()
@_RESULTS
@click.option("--out", type=_PATH, default=Path("docs/benchmarks.md"), show_default=True)
def table(results: Path, out: Path) -> None:
    """Write the page, and its plot beside it, from the results alone."""
    write_page(read_results(results), out)


def _variant(options: dict[str, Any]) -> Variant:
    return Variant(options["model"], options["weights"] != DRAWN, options["same_work"])


def _jobs(sets: str, tools: str, seeds: str, options: dict[str, Any]) -> list[Job]:
    for name in sets.split(","):
        find_set(name)
    if unknown := [name for name in tools.split(",") if name not in TOOLS]:
        raise PeerError(f"{unknown[0]!r} is no tool; choose of {', '.join(TOOLS)}")
    return list(
        plan_jobs(sets.split(","), tools.split(","), [int(seed) for seed in seeds.split(",")], _variant(options))
    )


def _run_and_keep(job: Job, options: dict[str, Any]) -> None:
    results: Path = options["results"]
    if job.key in {result.job.key for result in read_results(results)}:
        raise PeerError(f"{results} holds this run already; take its line out to run it again")
    is_drawn = options["weights"] == DRAWN
    weights = drawn_weights(job.variant.model, options["work"]) if is_drawn else Path(options["weights"])
    result = run_job(job, Places(options["data"], weights, options["work"], options["python"]))
    append_result(results, result)
    click.echo(
        f"{job.set_name} {job.tool} {job.seed}: {result.balanced_accuracy:.4f} on {result.test_images} test images, "
        f"{result.wall_seconds:.1f} s, of which start-up {result.start_up_seconds:.1f} s"
    )


def _command_line(job: Job, options: dict[str, Any]) -> str:
    words = ["python", "-m", "benchmarks.peers", "run", "--set", job.set_name, "--tool", job.tool]
    words += ["--seed", str(job.seed)]
    for name in ("model", "same_work", "data", "weights", "results", "work", "python"):
        if options[name] is not None:
            words += [f"--{name.replace('_', '-')}", str(options[name])]
    return shlex.join(words)


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except PeerError as error:
        sys.exit(f"{type(error).__name__}: {error}")
