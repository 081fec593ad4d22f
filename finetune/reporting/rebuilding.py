"""Builds the report of a run, or of a bare predictions table, again."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.errors import InputError
from finetune.evaluation import Evaluation, read_predictions
from finetune.reporting.context import ReportContext
from finetune.reporting.training_shares import shares_trained_for
from finetune.reporting.writing import write_report
from recipes import load_recipe


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
    report, environment = _read_json(run / "report.json"), _read_json(run / "environment.json")
    recipe = run / "recipe.yaml"
    data = (environment or {}).get("data")
    image_root = Path(data) if isinstance(data, str) and Path(data).is_dir() else None
    labels = (report or {}).get("labels")
    history, dataset = _read_history(run / "history.csv"), _read_table(run / "dataset.csv")
    read = load_recipe(recipe if recipe.is_file() else None, overrides or {})
    trained = shares_trained_for(read, dataset, history, labels) if labels and recipe.is_file() else None
    return ReportContext(
        labels=tuple(str(label) for label in labels) if labels else None,
        history=history,
        findings=_read_table(run / "findings.csv"),
        dataset=dataset,
        freeze=_read_json(run / "freeze.json"),
        recipe_text=recipe.read_text(encoding="utf-8") if recipe.is_file() else None,
        environment=environment,
        leakage=(report or {}).get("leakage"),
        image_root=image_root,
        small_picture=None if image_root is None else _picture_reader(image_root, environment or {}),
        warnings=_kept_warnings(report or {}),
        evaluate=read.evaluate,
        trained=trained,
    )


def _picture_reader(root: Path, environment: Mapping[str, Any]) -> Callable[[str], NDArray[np.uint8]]:
    """Reads an image in thumbnail size, its deep values scaled as they were in the run."""
    from data_tools import Scaling, read_image, thumbnail_geometry

    told = environment.get("scaling")
    scaling = Scaling(**told) if isinstance(told, dict) and set(told) <= {"rule", "low", "high", "bits"} else Scaling()
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


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); the run is damaged. Remove the file to go on.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object; the run is damaged. Remove the file to go on.")
    return content


def _read_history(path: Path) -> pd.DataFrame | None:
    history = _read_table(path)
    return (
        history
        if history is None or "epoch" not in history
        else history.assign(epoch=pd.to_numeric(history["epoch"], errors="coerce"))
    )


def _read_table(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="surrogateescape")
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path} is not a table ({error}); the run is damaged. Remove the file to go on.") from error
