"""The main job: from a folder of images to a trained tail and a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from finetune.evaluation import Evaluation
from finetune.exporting import save_timm_folder
from finetune.files import write_csv, write_json, write_text
from finetune.freezing import frozen_digest
from finetune.jobs.folder import describe_environment, open_run_folder
from finetune.jobs.freezing_record import freeze_record
from finetune.jobs.planning import Preview, preview
from finetune.jobs.sources import Sources, make_sources
from finetune.progress import Say, Track, silent, untracked
from finetune.reporting import ReportContext, write_report
from finetune.timing import Stopwatch
from finetune.training import FittedTail, TailData, fit_tail, predict_scores
from recipes import Recipe, dump_recipe


@dataclass(frozen=True)
class RunResult:
    """What a run found, and the folder that holds it all."""

    folder: Path
    evaluation: Evaluation
    is_verified: bool
    notes: tuple[str, ...]


def run(
    data: Path,
    recipe: Recipe,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    command: Sequence[str] = (),
    track: Track = untracked,
    say: Say = silent,
) -> RunResult:
    """Train the tail of a backbone on the images at `data` and write every file of a run.

    Raises DataError, RecipeError or a TailtuneError, each in words for the user.
    """
    watch, notes = Stopwatch(), list[str]()

    def tell(sentence: str) -> None:
        notes.append(sentence)
        say(sentence)

    torch.set_float32_matmul_precision("highest")
    folder = open_run_folder(out, data, overwrite)
    with watch.measure("scan"):
        made = preview(data, recipe, track=track, say=tell)
    sources = make_sources(made, recipe, watch, track=track, say=tell)
    before = frozen_digest(made.backbone.model, made.plan)
    with watch.measure("tail"):
        fitted = _fit(made, sources, recipe, track)
    after = frozen_digest(made.backbone.model, made.plan)
    with watch.measure("evaluate"):
        predictions = _predict(made, sources, recipe)
    record = freeze_record(made.plan, made.cut, before, after)
    _write_run(folder, made, recipe, fitted, predictions, record, command)
    with watch.measure("report"):
        evaluation = write_report(folder, predictions, _context(made, recipe, fitted, record, command))
    _write_timings(folder, watch, made, recipe, fitted)
    return RunResult(folder, evaluation, before == after, tuple(notes))


def _fit(made: Preview, sources: Sources, recipe: Recipe, track: Track) -> FittedTail:
    data = TailData(sources.train, sources.val, classes=len(made.dataset.labels), head=made.backbone.classifier)
    return fit_tail(made.backbone.model, made.cut, data, recipe.train, recipe.seed, track=track)


def _predict(made: Preview, sources: Sources, recipe: Recipe) -> pd.DataFrame:
    """Scores of every validation and test image: plain softmax of the saved model in fp32."""
    labels, tables = made.dataset.labels, []
    for split, source in (("val", sources.val), ("test", sources.test)):
        if source is None:
            continue
        scores = predict_scores(made.cut.eval_tail, source)
        table = made.dataset.part(split)[["path", "label", "group", "split"]].reset_index(drop=True)
        table["predicted"] = [labels[index] for index in scores.argmax(1)]
        columns = pd.DataFrame(scores, columns=[f"score_{label}" for label in labels])
        tables.append(pd.concat([table, columns], axis=1))
    return pd.concat(tables, ignore_index=True)


def _write_run(
    folder: Path,
    made: Preview,
    recipe: Recipe,
    fitted: FittedTail,
    predictions: pd.DataFrame,
    record: dict[str, object],
    command: Sequence[str],
) -> None:
    write_text(folder / "recipe.yaml", dump_recipe(recipe))
    write_json(folder / "environment.json", describe_environment(made, recipe, command))
    write_csv(folder / "dataset.csv", made.dataset.table)
    write_csv(folder / "findings.csv", made.dataset.findings)
    write_json(folder / "freeze.json", record)
    write_csv(folder / "history.csv", fitted.history)
    write_csv(folder / "predictions.csv", predictions)
    save_timm_folder(made.backbone, made.dataset.labels, folder / "model")


def _context(
    made: Preview, recipe: Recipe, fitted: FittedTail, record: dict[str, object], command: Sequence[str]
) -> ReportContext:
    return ReportContext(
        labels=made.dataset.labels,
        history=fitted.history,
        findings=made.dataset.findings,
        freeze=record,
        recipe_text=dump_recipe(recipe),
        environment=describe_environment(made, recipe, command),
        leakage=made.dataset.leakage(),
        image_root=made.dataset.root,
        confidence=recipe.evaluate.confidence,
    )


def _write_timings(folder: Path, watch: Stopwatch, made: Preview, recipe: Recipe, fitted: FittedTail) -> None:
    seconds = {name: round(value, 3) for name, value in watch.seconds().items()}
    counts = {"images": len(made.dataset.table), "views": recipe.augment.views, "epochs": len(fitted.history)}
    names = ("decode", "trunk", "tail", "evaluate", "report", "total")
    write_json(folder / "timings.json", {name: seconds.get(name, 0.0) for name in names} | counts)
