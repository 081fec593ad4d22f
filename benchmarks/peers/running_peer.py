"""The other tools: their commands, and what they did."""

import json
from pathlib import Path

from benchmarks.peers.facts import Facts
from benchmarks.peers.jobs import Job
from benchmarks.peers.running_own import SAME_BATCH, SAME_EPOCHS
from benchmarks.peers.tools.task import SETTINGS_FILE


def peer_command(job: Job, manifest: Path, weights: str, out: Path) -> list[str]:
    """The arguments of the peers' Python for one job."""
    command = ["-m", _module(job), "--manifest", str(manifest.resolve()), "--model", job.variant.model]
    command += ["--weights", weights, "--seed", str(job.seed), "--out", str(out.resolve())]
    if job.variant.policy:
        command += ["--policy", job.variant.policy, "--epochs", str(SAME_EPOCHS), "--batch-size", str(SAME_BATCH)]
    return command


def peer_start_up(job: Job) -> list[str]:
    """The arguments of the peers' Python that import what the tool imports, and end."""
    return ["-m", _module(job), "--imports-only"]


def peer_facts(out: Path) -> Facts:
    """What the tool wrote of itself."""
    told = json.loads((out / SETTINGS_FILE).read_text(encoding="utf-8"))
    return Facts(dict(told["settings"]), int(told["epochs"]), int(told["views"]), dict(told["versions"]))


def _module(job: Job) -> str:
    return f"benchmarks.peers.tools.{job.tool}"
