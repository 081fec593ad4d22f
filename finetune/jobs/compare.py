"""Recipes side by side on inner folds of the training part; the test part is never looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from data_tools.holding_out import without_part
from finetune.files import write_csv, write_text
from finetune.interrupts import StopRequest
from finetune.jobs.candidates import Candidate, open_candidates
from finetune.jobs.fold_fitting import Watching
from finetune.jobs.fold_table import FittedFold, join_predictions
from finetune.jobs.folder import RUN_MARK, hold_run_folder, open_run_folder
from finetune.jobs.folding import FoldCut, Folding
from finetune.jobs.planning import preview
from finetune.progress import Say, Track, noting_once, silent, untracked
from finetune.reporting.comparison import Compared, Verdict, judge_candidates
from finetune.reporting.comparison_page import write_comparison
from finetune.timing import Stopwatch
from recipes import Recipe, dump_recipe

_DEFAULT = Folding()


@dataclass(frozen=True)
class ComparisonResult:
    """What a comparison found: the verdict with its table, and the folder that holds it all."""

    folder: Path
    verdict: Verdict
    notes: tuple[str, ...]


def compare(
    data: Path,
    recipes: Mapping[str, Recipe],
    out: Path | None = None,
    *,
    folding: Folding = _DEFAULT,
    overwrite: bool = False,
    track: Track = untracked,
    say: Say = silent,
    stop: StopRequest | None = None,
) -> ComparisonResult:
    """Compare two or more `recipes`, by name, that share their data, on the same inner folds of the images that are
    not held out for the test.

    Raises DataError, RecipeError or a TailtuneError, each in words for the user; Interrupted when `stop` asks for an
    end.
    """
    notes, stop = list[str](), stop or StopRequest()
    tell = noting_once(say, notes)  # candidates have much in common
    torch.set_float32_matmul_precision("highest")
    watching = Watching(Stopwatch(), stop.tracked(track), tell, stop)
    first = next(iter(recipes.values()))
    folder = open_run_folder(out, data, overwrite=overwrite)
    with hold_run_folder(folder):
        write_text(folder / RUN_MARK, dump_recipe(first))
        made = preview(data, first, track=watching.track, say=tell)
        left_out = len(made.dataset.part("test"))
        made = replace(made, dataset=without_part(made.dataset, "test"))
        cut = FoldCut.of(made.dataset, first, folding)
        tell(
            f"The {left_out} images of the test part are not looked at; the others are cut into {folding.folds} folds."
        )
        candidates = open_candidates(data, made, recipes, watching, is_each_timed=True)
        compared = [_fit_candidate(candidate, cut) for candidate in candidates]
        verdict = judge_candidates(compared, made.dataset.labels, first.evaluate.confidence)
        write_csv(
            folder / "predictions.csv", pd.concat([one.predictions.assign(candidate=one.name) for one in compared])
        )
        write_comparison(folder, verdict)
    return ComparisonResult(folder, verdict, tuple(notes))


def _fit_candidate(candidate: Candidate, cut: FoldCut) -> Compared:
    fitter, fitted = candidate.fitter, list[FittedFold]()
    for place in cut.places():
        dataset = cut.held_out(place)
        fit = fitter.fit(dataset, f"{candidate.name}, {cut.name(place)}", splits=("test",))
        fitted.append(FittedFold(place, dataset, fit, candidate.name))
    fitter.close()
    seconds = fitter.watching.watch.seconds()
    return Compared(
        name=candidate.name,
        predictions=join_predictions(fitted),
        trainable_parameters=fitter.made.plan.trainable_count,
        trunk_seconds=seconds.get("decode", 0.0) + seconds.get("trunk", 0.0),
        tail_seconds=seconds.get("tail", 0.0),
    )


def name_recipes(given: Sequence[Mapping[str, str]], recipes: Sequence[Recipe]) -> dict[str, Recipe]:
    """Recipes by what tells them apart: the values in `given`, of the keys that differ."""
    differing = [key for key in given[0] if len({one[key] for one in given}) > 1]
    return {", ".join(one[key] for key in differing): recipe for one, recipe in zip(given, recipes, strict=True)}
