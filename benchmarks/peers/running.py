"""Run one job: the tool as a process of its own, timed whole; its predictions scored as everyone's are."""

import csv
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sklearn.metrics import balanced_accuracy_score

from benchmarks.peers.cuts import prepare_cut
from benchmarks.peers.errors import PeerError
from benchmarks.peers.jobs import OWN_TOOLS, Job
from benchmarks.peers.results import Result
from benchmarks.peers.running_own import own_command, own_facts, own_start_up
from benchmarks.peers.running_peer import peer_command, peer_facts, peer_start_up
from benchmarks.peers.tools.task import PREDICTIONS_FILE, Row, read_rows

ROOT = Path(__file__).parents[2]
_LAST_LINES = 12


@dataclass(frozen=True)
class Places:
    """Where a comparison finds and leaves its things."""

    data: Path
    weights: Path
    work: Path
    peer_python: Path
    """The interpreter of the environment that `make bench-env` makes."""


def run_job(job: Job, places: Places) -> Result:
    """Run the tool, keep its predictions, and return what it took and reached.

    Start-up is measured first, twice: the quicker counts, and files are in memory for both it and the run.
    Raises PeerError when the tool fails or leaves other images than it was given.
    """
    manifest = prepare_cut(places.data, job.set_name, job.seed, places.work)
    folder = places.work / "runs" / job.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    weights = str(places.weights.resolve())
    out, cache = folder / "out", folder / "store"
    if job.tool in OWN_TOOLS:
        command, start_up = own_command(job, manifest, weights, out), own_start_up()
    else:
        if not places.peer_python.exists():
            raise PeerError(f"{places.peer_python} is not there; make the peers' environment with: make bench-env")
        command, start_up = peer_command(job, manifest, weights, out), peer_start_up(job)
    python = sys.executable if job.tool in OWN_TOOLS else str(places.peer_python.absolute())
    log = folder / "log.txt"
    start_up_seconds = min(time_process([python, *start_up], log, cache) for _ in range(2))
    wall_seconds = time_process([python, *command], log, cache)
    shutil.rmtree(cache, ignore_errors=True)
    facts = own_facts(out) if job.tool in OWN_TOOLS else peer_facts(out)
    rows = read_rows(manifest)
    return Result(
        set=job.set_name,
        tool=job.tool,
        seed=job.seed,
        model=job.variant.model,
        is_pretrained=job.variant.is_pretrained,
        policy=job.variant.policy,
        wall_seconds=round(wall_seconds, 3),
        start_up_seconds=round(start_up_seconds, 3),
        balanced_accuracy=score_predictions(out / PREDICTIONS_FILE, rows),
        train_images=sum(row.split == "train" for row in rows),
        test_images=sum(row.split == "test" for row in rows),
        views=facts.views,
        epochs=facts.epochs,
        manifest_sha256=hashlib.sha256(manifest.read_bytes()).hexdigest(),
        versions=facts.versions,
        settings=facts.settings,
        commit=_commit(),
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        date=datetime.now(UTC).date().isoformat(),
    )


def score_predictions(predictions: Path, rows: Sequence[Row]) -> float:
    """Balanced accuracy on the test images of the cut, the same for every tool.

    Raises PeerError unless the table holds exactly those images, with their labels.
    """
    with predictions.open(newline="", encoding="utf-8") as file:
        found = {row["path"]: row for row in csv.DictReader(file) if row["split"] == "test"}
    wanted = {row.path: row.label for row in rows if row.split == "test"}
    if {path: row["label"] for path, row in found.items()} != wanted:
        raise PeerError(f"{predictions} holds {len(found)} test images, not the {len(wanted)} of the cut")
    return float(balanced_accuracy_score(list(wanted.values()), [found[path]["predicted"] for path in wanted]))


def time_process(command: Sequence[str], log: Path, cache: Path) -> float:
    """Wall seconds of a process; threads and everything else are the machine's own settings."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TAILTUNE_CACHE": str(cache.resolve())}
    with log.open("a", encoding="utf-8") as file:
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=file, stderr=file, check=False)
        seconds = time.perf_counter() - start
    if done.returncode != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])
        raise PeerError(f"exit code {done.returncode} of: {' '.join(command)}\n{tail}\nThe whole log: {log}")
    return seconds


def _commit() -> str:
    """The state of tailtune that was measured; a `+` where files had been changed since."""
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty=+"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
