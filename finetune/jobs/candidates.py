"""Recipes that stand for choice, each with a fitter of folds over the same images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from finetune.errors import InputError
from finetune.jobs.fold_fitting import FoldFitter, Watching
from finetune.jobs.planning import Preview, preview_dataset
from finetune.timing import Stopwatch
from recipes import Recipe, change_recipe


@dataclass(frozen=True)
class Candidate:
    """A recipe that may be chosen, and what tells it from the others."""

    name: str
    fitter: FoldFitter


def list_choices(recipe: Recipe, settings: Sequence[tuple[str, object]]) -> dict[str, Recipe]:
    """Every combination of the values that each key is given, by its name; `recipe` alone where none is.

    Raises InputError for a key of the data, which no candidate may change, and for a key with one value.
    """
    values: dict[str, list[object]] = {}
    for key, value in settings:
        values.setdefault(key, []).append(value)
    refused = [key for key in values if key.startswith("data.") or key in ("seed", "task")]
    if refused:
        raise InputError(f"--select {refused[0]}: candidates share data and seed; choose among other keys.")
    single = [key for key, given in values.items() if len(given) == 1]
    if single:
        raise InputError(f"--select {single[0]}: one value is no choice; give the option once for each value.")
    chosen = [dict(zip(values, combination, strict=True)) for combination in product(*values.values())]
    return {_name(overrides): change_recipe(recipe, overrides) for overrides in chosen}


def _name(overrides: Mapping[str, object]) -> str:
    told = [f"{key.rpartition('.')[2]} {_plain(value)}" for key, value in overrides.items()]
    return ", ".join(told) or "the recipe"


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def open_candidates(
    data: Path, made: Preview, choices: Mapping[str, Recipe], watching: Watching, *, is_each_timed: bool = False
) -> tuple[Candidate, ...]:
    """A fitter for each recipe; `made` is the preview of the first one, whose scan serves all.

    With `is_each_timed` every one has a stopwatch of its own.
    """
    candidates = list[Candidate]()
    for name, recipe in choices.items():
        own = made if not candidates else preview_dataset(made.dataset, recipe, made.keeping, say=watching.say)
        timed = replace(watching, watch=Stopwatch()) if is_each_timed else watching
        candidates.append(Candidate(name, FoldFitter(data, own, recipe, timed)))
    return tuple(candidates)
