"""The main job: from a folder of images to a trained tail and a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from finetune.evaluation import Evaluation, with_calibrated_scores
from finetune.exporting import save_model_folder
from finetune.files import write_csv, write_json, write_text
from finetune.interrupts import StopRequest
from finetune.jobs.augmenting import describe_pipelines
from finetune.jobs.choosing import choose_head
from finetune.jobs.data_settings import further_columns
from finetune.jobs.folder import RUN_MARK, describe_environment, hold_run_folder, open_run_folder
from finetune.jobs.freezing_record import freeze_record
from finetune.jobs.keeping import small_pictures
from finetune.jobs.planning import Preview, preview
from finetune.jobs.sources import SourceMaker
from finetune.jobs.training import PhaseTrainer, Trained
from finetune.progress import Say, Track, silent, untracked
from finetune.reporting import ReportContext, write_report
from finetune.reporting.training_shares import shares_trained_for
from finetune.timing import Stopwatch
from finetune.training import predict_scores
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
    resume: bool = False,
    command: Sequence[str] = (),
    track: Track = untracked,
    say: Say = silent,
    stop: StopRequest | None = None,
) -> RunResult:
    """Train the tail of a backbone on the images at `data` and write every file of a run.

    `resume` goes on from the last checkpoint of the run in `out`; it ends in the same bytes.

    Raises DataError, RecipeError or a TailtuneError, each in words for the user; Interrupted when
    `stop` asks for an end.
    """
    watch, notes, stop = Stopwatch(), list[str](), stop or StopRequest()

    def tell(sentence: str) -> None:
        notes.append(sentence)
        say(sentence)

    torch.set_float32_matmul_precision("highest")
    track = stop.tracked(track)
    folder = open_run_folder(out, data, overwrite=overwrite, resume=resume)
    with hold_run_folder(folder) as checkpoints:
        with watch.measure("scan"):
            made = preview(data, recipe, track=track, say=tell)
        maker = SourceMaker(made, recipe, watch, track=track, say=tell, check=stop.check)
        recipe = maker.settle(folder / RUN_MARK)
        if not (folder / RUN_MARK).exists():
            write_text(folder / RUN_MARK, dump_recipe(recipe))
        maker.adapt_norms()
        made = choose_head(made, recipe, maker)
        trainer = PhaseTrainer(made, recipe, maker, checkpoints, stop)
        if resume:
            trainer.resume()
        trained = trainer.train()
        predictions = _predict(made, maker, trained.after, further_columns(recipe))
        maker.close()
        record = freeze_record(made.plan, made.cut, trained.before, trained.after, trained.proofs, made.backbone.head)
        _write_run(folder, made, recipe, trained, predictions, record, command)
        with watch.measure("report"):
            evaluation = write_report(folder, predictions, _context(made, recipe, trained, record, command))
        _write_timings(folder, watch, made, recipe, trained)
    return RunResult(folder, evaluation, bool(record["verified"]), tuple(notes))


def _predict(made: Preview, maker: SourceMaker, frozen_sha256: str, further: Sequence[str]) -> pd.DataFrame:
    """Scores of every validation and test image: plain softmax of the saved model in fp32, and calibrated ones.

    The columns `further` of the dataset stand beside them.
    """
    labels, tables = made.dataset.labels, []
    made.backbone.model.eval()
    for split, source in maker.parts(("val", "test"), made.cut, frozen_sha256).items():
        with maker.watch.measure("evaluate"):
            scores = predict_scores(made.cut.eval_tail, source)
        rows = made.dataset.part(split)
        table = rows[["path", "label", "group", "split"]].reset_index(drop=True)
        table["predicted"] = [labels[index] for index in scores.argmax(1)]
        columns = pd.DataFrame(scores, columns=[f"score_{label}" for label in labels])
        tables.append(pd.concat([table, columns, rows[list(further)]], axis=1))
    return with_calibrated_scores(pd.concat(tables, ignore_index=True), labels)


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
    )


def _write_timings(folder: Path, watch: Stopwatch, made: Preview, recipe: Recipe, trained: Trained) -> None:
    seconds = {name: round(value, 3) for name, value in watch.seconds().items()}
    counts = {"images": len(made.dataset.table), "views": recipe.augment.views, "epochs": trained.epochs}
    names = ("decode", "trunk", "tail", "evaluate", "report", "total")
    write_json(folder / "timings.json", {name: seconds.get(name, 0.0) for name in names} | counts)
