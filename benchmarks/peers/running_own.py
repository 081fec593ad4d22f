"""tailtune as one of the tools: its command, and what it did."""

import json
from pathlib import Path

from benchmarks.peers.facts import Facts
from benchmarks.peers.jobs import RECIPES, TAILTUNE_FP32, Job
from recipes import load_recipe

SAME_EPOCHS, SAME_BATCH = 10, 32
_SAME_WORK = (
    *("train.patience=null", "data.val_fraction=0", "augment.views=1"),
    *("head.start=drawn", "train.average_decay=null"),
)
"""As with the peers, every epoch is run, validation takes nothing from the training images, the head starts at random
and no weights are averaged: what the default recipe does beyond them is in its own seconds.

One view, since it is epochs that are compared.
"""
_IMPORTS = "finetune.cli.main, finetune.cli.display, finetune.cli.plan_display, finetune.jobs.run, albumentations"


def own_command(job: Job, manifest: Path, weights: str, out: Path) -> list[str]:
    """The arguments of Python for one job: the default recipe, or with a policy the same work as the others."""
    command = ["-m", "finetune", "run", str(manifest.resolve()), "--model", job.variant.model, "--weights", weights]
    command += ["--seed", str(job.seed), "--out", str(out.resolve())]
    if job.tool in RECIPES:
        command += ["--recipe", RECIPES[job.tool]]
    if job.tool == TAILTUNE_FP32:
        command += ["--precision", "fp32"]
    if job.variant.policy:
        command += ["--freeze", job.variant.policy, "--epochs", str(SAME_EPOCHS), "--batch-size", str(SAME_BATCH)]
        for setting in _SAME_WORK:
            command += ["--set", setting]
    return command


def own_start_up() -> list[str]:
    """The arguments of Python that import what a run imports, and end, both as a run does."""
    lines = (
        "import os; os.environ['NO_ALBUMENTATIONS_UPDATE'] = '1'",
        "from finetune.cli.process import importing",
        f"with importing(): import {_IMPORTS}",
        "os._exit(0)",
    )
    return ["-c", "\n".join(lines)]


def own_facts(out: Path) -> Facts:
    """What a run says of itself."""
    timings = json.loads((out / "timings.json").read_text(encoding="utf-8"))
    environment = json.loads((out / "environment.json").read_text(encoding="utf-8"))
    settings = load_recipe(str(out / "recipe.yaml"), {}).model_dump(mode="json")
    settings["model"]["weights"] = Path(settings["model"]["weights"]).name
    return Facts(settings, int(timings["epochs"]), int(timings["views"]), dict(environment["versions"]))
