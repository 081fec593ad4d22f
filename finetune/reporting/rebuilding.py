"""Builds the report of a run, or of a bare predictions table, again."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.errors import InputError
from finetune.evaluation import Evaluation, read_predictions
from finetune.reporting.context import Explain, ReportContext
from finetune.reporting.drawn_heat import FOLDER, read_drawn
from finetune.reporting.run_files import read_json, read_numbers, read_table
from finetune.reporting.training_shares import shares_trained_for
from finetune.reporting.writing import write_report
from recipes import Recipe, load_recipe

if TYPE_CHECKING:
    from data_tools import Scaling


def rebuild_report(
    source: Path, out: Path | None = None, overrides: Mapping[str, object] | None = None
) -> tuple[Path, Evaluation]:
    """Write the report of a run folder or a predictions table; the folder written to and the evaluation.

    `overrides` are settings of the recipe's `evaluate` section by key path, on top of what the run's recipe says.

    Without `out`, a run's report is rewritten in place, with the same bytes in report.txt,
    report.csv and report.json; a table's goes into a folder `report` beside it.
    """
    table, home, context = find_report_source(source, overrides)
    folder = out or home
    return folder, write_report(folder, read_predictions(table), context)


def find_report_source(source: Path, overrides: Mapping[str, object] | None = None) -> tuple[Path, Path, ReportContext]:
    """The predictions table of a run folder, or `source` itself; where its report belongs; what is known beside it.

    `overrides` are settings of `evaluate`. Raises InputError where there is no table.
    """
    settings = _check_overrides(overrides or {})
    if source.is_dir():
        table = source / "predictions.csv"
        if not table.is_file():
            raise InputError(f"{source} holds no predictions.csv; give a run folder or a predictions table.")
        return table, source, read_context(source, settings)
    if source.is_file():
        return source, source.parent / "report", ReportContext(evaluate=load_recipe(None, settings).evaluate)
    raise InputError(f"{source} does not exist; give a run folder or a predictions table.")


def _check_overrides(overrides: Mapping[str, object]) -> Mapping[str, object]:
    for key in overrides:
        if not key.startswith("evaluate."):
            raise InputError(f"--set {key}: a report takes keys of `evaluate` alone; what was trained stays as it was.")
    return overrides


def read_context(run: Path, overrides: Mapping[str, object] | None = None) -> ReportContext:
    """What the files of a run say beside its predictions; each may be missing."""
    report, environment = read_json(run / "report.json"), read_json(run / "environment.json")
    recipe = run / "recipe.yaml"
    data = (environment or {}).get("data")
    image_root = Path(data) if isinstance(data, str) and Path(data).is_dir() else None
    scaling = read_scaling(environment or {})
    labels = (report or {}).get("labels")
    history, dataset = read_numbers(run / "history.csv"), read_table(run / "dataset.csv")
    read = load_recipe(recipe, overrides or {}) if recipe.is_file() else _recipe_of(environment or {}, overrides or {})
    trained = shares_trained_for(read, dataset, history, labels) if labels and recipe.is_file() else None
    return ReportContext(
        labels=tuple(str(label) for label in labels) if labels else None,
        history=history,
        findings=read_table(run / "findings.csv"),
        dataset=dataset,
        freeze=read_json(run / "freeze.json"),
        recipe_text=recipe.read_text(encoding="utf-8") if recipe.is_file() else None,
        environment=environment,
        leakage=(report or {}).get("leakage"),
        image_root=image_root,
        small_picture=None if image_root is None else _picture_reader(image_root, scaling),
        warnings=_kept_warnings(report or {}),
        evaluate=read.evaluate,
        trained=trained,
        change=(report or {}).get("change"),
        folds=read_numbers(run / "folds.csv"),
        label_issues=_read_issues(run / "label_issues.csv"),
        learning_curve=read_numbers(run / "learning_curve.csv"),
        explain=None if image_root is None else _explainer(run, environment or {}, image_root, scaling),
    )


def read_scaling(environment: Mapping[str, Any]) -> "Scaling":
    """How deep values became levels in the run; by the bits that files declare where that is not told."""
    from data_tools import Scaling

    told = environment.get("scaling")
    return Scaling(**told) if isinstance(told, dict) and set(told) <= {"rule", "low", "high", "bits"} else Scaling()


def _recipe_of(environment: Mapping[str, Any], overrides: Mapping[str, object]) -> Recipe:
    """What an evaluation, which has no recipe of its own, tells beside its versions."""
    told = environment.get("confidence")
    known = {"evaluate.confidence": told} if isinstance(told, float) and 0 < told < 1 else {}
    return load_recipe(None, {**known, **overrides})


def _read_issues(path: Path) -> pd.DataFrame | None:
    table = read_table(path)
    numbers = ("confidence", "suggested_score")
    return None if table is None else table.assign(**{name: pd.to_numeric(table[name]) for name in numbers})


def _picture_reader(root: Path, scaling: "Scaling") -> Callable[[str], NDArray[np.uint8]]:
    """Reads an image in thumbnail size."""
    from data_tools import read_image, thumbnail_geometry

    return lambda path: thumbnail_geometry()(read_image(root / path, scaling))


def _kept_warnings(report: Mapping[str, Any]) -> tuple[str, ...]:
    """Warnings of an earlier report but for those of its own parts, which are made anew or no longer hold."""
    own: set[str] = set()
    open_parts = [part for name, part in report.items() if name != "warnings"]
    while open_parts:
        part = open_parts.pop()
        if isinstance(part, dict):
            told = part.get("warnings")
            own |= {str(warning) for warning in told} if isinstance(told, list) else set()
            open_parts += part.values()
    return tuple(str(warning) for warning in report.get("warnings", ()) if warning not in own)


def _model_folder(run: Path, environment: Mapping[str, Any]) -> Path:
    """Where the network lies: in the run, or in the one that was judged on other images here."""
    judged = environment.get("run")
    return Path(judged) / "model" if isinstance(judged, str) else run / "model"


def _explainer(run: Path, environment: Mapping[str, Any], root: Path, scaling: "Scaling") -> Explain | None:
    """Draws heat maps of the saved network; None where there is none. torch is imported with the first picture.

    Those of a cross-validation are as they were drawn: its networks are gone, and one of all images is another.
    """
    if (run / "folds.csv").is_file():
        return read_drawn(run / FOLDER)
    model = _model_folder(run, environment)
    if not (model / "config.json").is_file():
        return None

    @cache
    def load() -> Explain:
        from finetune.explaining import explain_saved

        return explain_saved(model, root, scaling)

    return lambda path, label: load()(path, label)
