"""The two readings of "freeze the first three, tune the last two", compared as `finetune compare` does."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

import finetune
from benchmarks.peers.sets import SETS, list_images
from benchmarks.residual_guide.experiment import Experiment, Request
from benchmarks.residual_guide.page import compose_table
from benchmarks.results import Record
from finetune.evaluation import Metric
from finetune.evaluation.comparing import compare_predictions
from finetune.jobs.folding import Folding
from recipes import load_recipe

MEDICAL = ("brain_mri_yesno", "bccd_wbc")
POLICIES = ("first-three", "last-two-stages")
MODEL = "tf_efficientnet_lite0"


def compare_policies(data: Path, name: str, work: Path, settings: Mapping[str, object], folding: Folding) -> Record:
    """The row of one set: balanced accuracy of each policy out of fold, and the second minus the first, paired."""
    folder = work / name
    for image in list_images(data, SETS[name]):
        (folder / image.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data / SETS[name].folder / image.path, folder / image.path)
    candidates = {policy: load_recipe(policy, {"model.name": MODEL, **settings}) for policy in POLICIES}
    verdict = finetune.compare(folder, candidates, work / f"{name}-compared", folding=folding).verdict
    first, second = (one.compared for one in verdict.judged)
    difference = compare_predictions(second.predictions, first.predictions, verdict.labels)
    return {
        "set": name,
        "images": difference.images,
        **{one.compared.name: _numbers(one.evaluation.overall["balanced_accuracy"]) for one in verdict.judged},
        "difference": _numbers(difference.differences["balanced_accuracy"]),
        "trained": {one.compared.name: one.compared.trainable_parameters for one in verdict.judged},
        "verdict": verdict.sentence,
    }


def _numbers(metric: Metric) -> list[float | None]:
    return [metric.value, metric.low, metric.high]


def compose(rows: Sequence[Record]) -> str:
    """A line a set; the difference in points of a hundred."""
    lines = []
    for row in rows:
        value, low, high = (100 * number for number in row["difference"])
        cells = [f"{held[0]:.3f} ({held[1]:.3f} to {held[2]:.3f})" for held in (row[name] for name in POLICIES)]
        lines.append([row["set"], f"{row['images']}", *cells, f"{value:+.1f} ({low:+.1f} to {high:+.1f})"])
    return compose_table(["set", "images", *(f"`{name}`" for name in POLICIES), "difference, points"], lines)


def _measure(request: Request) -> list[Record]:
    if request.data is None:
        raise click.ClickException("the comparison of policies needs DATA, the folder that holds the sets' folders")
    settings: dict[str, object] = {"model.weights": request.weights}
    if request.is_brief:
        settings |= {"model.image_size": 32, "train.epochs": 1, "augment.views": 1}
    folding, rows = Folding(folds=2 if request.is_brief else 5), list[Record]()
    with tempfile.TemporaryDirectory() as folder:
        for name in MEDICAL[: 1 if request.is_brief else None]:
            rows.append(compare_policies(request.data, name, Path(folder), settings, folding))
            click.echo(f"{name}: {rows[-1]['verdict']}", err=True)
    return rows


FREEZING = Experiment(_measure, compose, needs_data=True)
