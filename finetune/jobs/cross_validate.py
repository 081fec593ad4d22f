"""Cross-validation: every image is held out once in each repeat, over features that are made once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from data_tools.holding_out import tell_folds
from finetune.evaluation import Evaluation
from finetune.explaining import Explain
from finetune.exporting import save_model_folder
from finetune.files import write_csv, write_json, write_text
from finetune.interrupts import StopRequest
from finetune.jobs.augmenting import describe_pipelines
from finetune.jobs.candidates import Candidate, list_choices, open_candidates
from finetune.jobs.fold_fitting import Watching
from finetune.jobs.fold_table import FittedFold, FoldTables
from finetune.jobs.folder import RUN_MARK, describe_environment, hold_run_folder, open_run_folder
from finetune.jobs.folding import FoldCut, Folding, FoldPlace
from finetune.jobs.keeping import small_pictures
from finetune.jobs.learning_curve import fit_smaller, tabulate_curve
from finetune.jobs.planning import Preview, preview
from finetune.jobs.selecting import best_of, score_inside
from finetune.jobs.timings import write_timings
from finetune.progress import Say, Track, noting_once, silent, untracked
from finetune.reporting import ReportContext, write_report
from finetune.reporting.drawn_heat import FOLDER, keep_drawn
from finetune.reporting.training_shares import shares_trained_for
from finetune.timing import Stopwatch
from recipes import Recipe, change_recipe, dump_recipe

_DEFAULT = Folding()


@dataclass(frozen=True)
class CrossValidation:
    """What a cross-validation found, and the folder that holds it all; `folds` are the rows of folds.csv."""

    folder: Path
    evaluation: Evaluation
    folds: pd.DataFrame
    is_verified: bool
    notes: tuple[str, ...]


def cross_validate(
    data: Path,
    recipe: Recipe,
    out: Path | None = None,
    *,
    folding: Folding = _DEFAULT,
    overwrite: bool = False,
    command: Sequence[str] = (),
    track: Track = untracked,
    say: Say = silent,
    stop: StopRequest | None = None,
) -> CrossValidation:
    """Hold every image at `data` out once in each repeat, and report on all of them together.

    Folds keep groups and equal files together and are stratified by class; splits that the data bring are ignored.
    The tail of each fold is trained by `recipe`, or by what does best on inner folds of its training part.

    Raises DataError, RecipeError or a TailtuneError, each in words for the user; Interrupted when `stop` asks for an
    end.
    """
    watch, notes, stop = Stopwatch(), list[str](), stop or StopRequest()
    tell = noting_once(say, notes)  # candidates have much in common
    torch.set_float32_matmul_precision("highest")
    watching = Watching(watch, stop.tracked(track), tell, stop)
    choices = list_choices(change_recipe(recipe, {"data.resplit": True, "data.splits": None}), folding.select)
    folder = open_run_folder(out, data, overwrite=overwrite)
    with hold_run_folder(folder):
        with watch.measure("scan"):
            made = preview(data, next(iter(choices.values())), track=watching.track, say=tell)
        cut = FoldCut.of(made.dataset, recipe, folding)
        made = replace(made, dataset=tell_folds(made.dataset, cut.first_folds(), cut.rule))
        candidates = open_candidates(data, made, choices, watching)
        recipe = candidates[0].fitter.recipe
        write_text(folder / RUN_MARK, dump_recipe(recipe))
        fitted, curve = _fit_folds(candidates, cut, folding)
        tables = FoldTables.of(fitted, made.dataset.labels)
        _write_folds(folder, made, recipe, tables, command)
        if curve is not None:
            write_csv(folder / "learning_curve.csv", curve)
        if folding.keeps_final:
            _write_final(folder, candidates, cut, folding)
        for candidate in candidates:
            candidate.fitter.close()
        with watch.measure("report"):
            context = replace(_context(made, recipe, tables, command), leakage=cut.leakage(), learning_curve=curve)
            context = replace(context, explain=keep_drawn(_explainer(fitted), folder / FOLDER))
            evaluation = write_report(folder, tables.predictions, context)
        write_timings(folder, watch, made.dataset, recipe, int(tables.folds["epochs"].sum()))
    return CrossValidation(folder, evaluation, tables.folds, bool(tables.record["verified"]), tuple(notes))


def _fit_folds(
    candidates: Sequence[Candidate], cut: FoldCut, folding: Folding
) -> tuple[list[FittedFold], pd.DataFrame | None]:
    """Every fold, and the learning curve over those of the first repeat if one is asked for."""
    fitted, smaller, labels = list[FittedFold](), list[pd.DataFrame](), cut.dataset.labels
    for place in cut.places():
        fold = _fit_fold(candidates, cut, place, folding)
        fitted.append(fold)
        if folding.draws_curve and place.repeat == 1:
            chosen = next(one for one in candidates if one.name == fold.chosen)
            smaller += fit_smaller(chosen.fitter, cut, fold, labels)
    if not smaller:
        return fitted, None
    confidence = candidates[0].fitter.recipe.evaluate.confidence
    return fitted, tabulate_curve(pd.concat(smaller, ignore_index=True), labels, confidence)


def _fit_fold(candidates: Sequence[Candidate], cut: FoldCut, place: FoldPlace, folding: Folding) -> FittedFold:
    dataset, name = cut.held_out(place), cut.name(place)
    if len(candidates) == 1:
        return FittedFold(place, dataset, candidates[0].fitter.fit(dataset, name), candidates[0].name)
    scores = score_inside(candidates, dataset, cut.units, folding.inner_folds, name)
    chosen = candidates[best_of(scores)]
    return FittedFold(place, dataset, chosen.fitter.fit(dataset, name), chosen.name, scores)


def _write_folds(folder: Path, made: Preview, recipe: Recipe, tables: FoldTables, command: Sequence[str]) -> None:
    write_json(folder / "environment.json", describe_environment(made, recipe, command))
    write_json(folder / "pipeline.json", describe_pipelines(recipe, made.backbone.preprocessing))
    write_csv(folder / "dataset.csv", made.dataset.table.assign(split=""))
    write_csv(folder / "findings.csv", made.dataset.findings)
    write_json(folder / "freeze.json", tables.record)
    write_csv(folder / "folds.csv", tables.folds)
    if not tables.choices.empty:
        write_csv(folder / "choices.csv", tables.choices)
    write_csv(folder / "history.csv", tables.history)
    write_csv(folder / "predictions.csv", tables.predictions)
    write_csv(folder / "label_issues.csv", tables.label_issues)


def _write_final(folder: Path, candidates: Sequence[Candidate], cut: FoldCut, folding: Folding) -> None:
    """The model of all images, by the recipe that does best on inner folds of them where there is a choice."""
    dataset, chosen = cut.everything(), candidates[0]
    if len(candidates) > 1:
        chosen = candidates[best_of(score_inside(candidates, dataset, cut.units, folding.inner_folds, "all images: "))]
    fit = chosen.fitter.fit(dataset, "all images: ", splits=())
    save_model_folder(fit.backbone, cut.dataset.labels, folder / "model")


def _explainer(fitted: Sequence[FittedFold]) -> Explain:
    """Heat maps of each image by the network that had not seen it, that of the first repeat."""
    of_image = {
        str(path): one.fit.explain
        for one in fitted
        if one.place.repeat == 1
        for path in one.dataset.part("test")["path"]
    }
    return lambda path, label: of_image[path](path, label) if path in of_image else None


def _context(made: Preview, recipe: Recipe, tables: FoldTables, command: Sequence[str]) -> ReportContext:
    return ReportContext(
        labels=made.dataset.labels,
        history=tables.history,
        findings=made.dataset.findings,
        dataset=made.dataset.table.assign(split=""),
        freeze=tables.record,
        recipe_text=dump_recipe(recipe),
        environment=describe_environment(made, recipe, command),
        folds=tables.folds,
        label_issues=tables.label_issues,
        image_root=made.dataset.root,
        small_picture=small_pictures(made.dataset, made.keeping),
        evaluate=recipe.evaluate,
        trained=shares_trained_for(recipe, None, tables.history, made.dataset.labels),
    )
