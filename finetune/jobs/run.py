"""The main job: from a folder of images to a trained tail and a report."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from finetune.evaluation import Evaluation
from finetune.explaining import Explain, explain_with
from finetune.exporting import save_model_folder
from finetune.files import write_csv, write_json, write_text
from finetune.interrupts import StopRequest
from finetune.jobs.augmenting import describe_pipelines
from finetune.jobs.choosing import choose_head
from finetune.jobs.folder import RUN_MARK, describe_environment, hold_run_folder, open_run_folder
from finetune.jobs.freezing_record import freeze_record
from finetune.jobs.keeping import evaluation_views, small_pictures
from finetune.jobs.planning import Preview, preview
from finetune.jobs.predicting import predict_parts
from finetune.jobs.sources import SourceMaker
from finetune.jobs.timings import write_timings
from finetune.jobs.training import PhaseTrainer, Trained
from finetune.progress import Say, Track, silent, untracked
from finetune.ranks import join_ranks
from finetune.reporting import ReportContext, write_report
from finetune.reporting.training_shares import shares_trained_for
from finetune.timing import Stopwatch
from recipes import Recipe, dump_recipe

FEW_IMAGES = 500
"""Under so many a run says how wide its intervals are."""


@dataclass(frozen=True)
class RunResult:
    """What a run found, and the folder that holds it all."""

    folder: Path
    evaluation: Evaluation
    is_verified: bool
    notes: tuple[str, ...]
    advice: str | None = None
    """What to do where the images are few; None where they are not."""


def run(
    data: Path,
    recipe: Recipe,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    command: Sequence[str] = (),
    track: Track = untracked,
    say: Say = silent,
    stop: StopRequest | None = None,
) -> RunResult:
    """Train the tail of a backbone on the images at `data` and write every file of a run.

    `resume` goes on from the last checkpoint of the run in `out`; it ends in the same bytes. Processes that torchrun
    has started share the work: each runs the trunk on its own images, and takes its share of every batch.

    Raises DataError, RecipeError or a TailtuneError, each in words for the user; Interrupted when
    `stop` asks for an end.
    """
    watch, notes, stop = Stopwatch(), list[str](), stop or StopRequest()

    def tell(sentence: str) -> None:
        notes.append(sentence)
        if ranks.is_first:
            say(sentence)

    torch.set_float32_matmul_precision("highest")
    ranks = join_ranks(recipe.train.device)
    ranks.check_batch(recipe.train.batch_size)
    track = stop.tracked(track if ranks.is_first else untracked)
    folder = ranks.only_first(lambda: open_run_folder(out, data, overwrite=overwrite, resume=resume))
    with hold_run_folder(folder, is_for_writing=ranks.is_first) as checkpoints:
        with watch.measure("scan"):
            made = ranks.first_then_others(lambda: preview(data, recipe, track=track, say=tell))
        maker = SourceMaker(made, recipe, watch, track=track, say=tell, check=stop.check, ranks=ranks)
        recipe = ranks.first_then_others(lambda: _settle(maker, folder / RUN_MARK))
        maker.adapt_norms()
        made = choose_head(made, recipe, maker)
        trainer = PhaseTrainer(made, recipe, maker, checkpoints, stop)
        if resume:
            trainer.resume()
        trained = trainer.train()
        predictions = predict_parts(made, maker, trained.after, ("val", "test"))
        maker.close()
        record = freeze_record(made.plan, made.cut, trained.before, trained.after, trained.proofs, made.backbone.head)

        def write() -> Evaluation:
            _write_run(folder, made, recipe, trained, predictions, record, command)
            with watch.measure("report"):
                evaluation = write_report(folder, predictions, _context(made, recipe, trained, record, command))
            write_timings(folder, watch, made.dataset, recipe, trained.epochs)
            return evaluation

        evaluation = ranks.only_first(write)
    advice = advise_few(len(made.dataset.table), evaluation, data, folder)
    return RunResult(folder, evaluation, bool(record["verified"]), tuple(notes), advice)


def _settle(maker: SourceMaker, mark: Path) -> Recipe:
    """The recipe with all choices filled in, as it stands in the run's folder."""
    recipe = maker.settle(mark)
    if not mark.exists():
        write_text(mark, dump_recipe(recipe))
    return recipe


def advise_few(images: int, evaluation: Evaluation, data: Path, folder: Path) -> str | None:
    """How wide the interval is that few images leave, and how to judge on all of them; None where there are enough."""
    metric = evaluation.overall["balanced_accuracy"]
    if images >= FEW_IMAGES or metric.low is None or metric.high is None:
        return None
    command = shlex.join(["finetune", "cv", str(data), "--recipe", str(folder / RUN_MARK)])
    return (
        f"{evaluation.images} test images leave the balanced accuracy anywhere from {metric.low:.2f} to "
        f"{metric.high:.2f}. To judge on all {images} images, at about the price of this run: {command}"
    )


def _write_run(
    folder: Path,
    made: Preview,
    recipe: Recipe,
    trained: Trained,
    predictions: pd.DataFrame,
    record: dict[str, object],
    command: Sequence[str],
) -> None:
    write_json(folder / "environment.json", describe_environment(made, recipe, command))
    write_json(folder / "pipeline.json", describe_pipelines(recipe, made.backbone.preprocessing))
    write_csv(folder / "dataset.csv", made.dataset.table)
    write_csv(folder / "findings.csv", made.dataset.findings)
    write_json(folder / "freeze.json", record)
    write_csv(folder / "history.csv", trained.history)
    write_csv(folder / "predictions.csv", predictions)
    save_model_folder(made.backbone, made.dataset.labels, folder / "model")


def _context(
    made: Preview, recipe: Recipe, trained: Trained, record: dict[str, object], command: Sequence[str]
) -> ReportContext:
    return ReportContext(
        labels=made.dataset.labels,
        history=trained.history,
        findings=made.dataset.findings,
        dataset=made.dataset.table,
        freeze=record,
        recipe_text=dump_recipe(recipe),
        environment=describe_environment(made, recipe, command),
        leakage=made.dataset.leakage(),
        image_root=made.dataset.root,
        small_picture=small_pictures(made.dataset, made.keeping),
        evaluate=recipe.evaluate,
        trained=shares_trained_for(recipe, made.dataset.table, trained.history, made.dataset.labels),
        explain=_explainer(made),
    )


def _explainer(made: Preview) -> Explain:
    backbone, dataset = made.backbone, made.dataset
    backbone.model.to(memory_format=torch.channels_last)  # as it was before it was saved
    return explain_with(backbone, dataset.labels, evaluation_views(dataset, made.keeping, backbone.preprocessing))
