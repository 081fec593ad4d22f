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
from finetune.reporting.writing import write_report


def rebuild_report(source: Path, out: Path | None = None) -> tuple[Path, Evaluation]:
    """Write the report of a run folder or a predictions table; the folder written to and the evaluation.

    Without `out`, a run's report is rewritten in place, with the same bytes in report.txt,
    report.csv and report.json; a table's goes into a folder `report` beside it.
    """
    table, home, context = find_report_source(source)
    folder = out or home
    return folder, write_report(folder, read_predictions(table), context)


def find_report_source(source: Path) -> tuple[Path, Path, ReportContext]:
    """The predictions table of a run folder, or `source` itself; where its report belongs; what is known beside it.

    Raises InputError where there is no table.
    """
    if source.is_dir():
        table = source / "predictions.csv"
        if not table.is_file():
            raise InputError(f"{source} holds no predictions.csv; give a run folder or a predictions table.")
        return table, source, read_context(source)
    if source.is_file():
        return source, source.parent / "report", ReportContext()
    raise InputError(f"{source} does not exist; give a run folder or a predictions table.")


def read_context(run: Path) -> ReportContext:
    """What the files of a run say beside its predictions; each may be missing."""
    report, environment = _read_json(run / "report.json"), _read_json(run / "environment.json")
    recipe = run / "recipe.yaml"
    data = (environment or {}).get("data")
    image_root = Path(data) if isinstance(data, str) and Path(data).is_dir() else None
    labels = (report or {}).get("labels")
    return ReportContext(
        labels=tuple(str(label) for label in labels) if labels else None,
        history=_read_history(run / "history.csv"),
        findings=_read_table(run / "findings.csv"),
        dataset=_read_table(run / "dataset.csv"),
        freeze=_read_json(run / "freeze.json"),
        recipe_text=recipe.read_text(encoding="utf-8") if recipe.is_file() else None,
        environment=environment,
        leakage=(report or {}).get("leakage"),
        image_root=image_root,
        small_picture=None if image_root is None else _picture_reader(image_root, environment or {}),
        warnings=tuple(str(warning) for warning in (report or {}).get("warnings", ())),
        confidence=_read_confidence(recipe),
    )


def _picture_reader(root: Path, environment: Mapping[str, Any]) -> Callable[[str], NDArray[np.uint8]]:
    """Reads an image in thumbnail size, its deep values scaled as they were in the run."""
    from data_tools import Scaling, read_image, thumbnail_geometry

    told = environment.get("scaling")
    scaling = Scaling(**told) if isinstance(told, dict) and set(told) <= {"rule", "low", "high", "bits"} else Scaling()
    return lambda path: thumbnail_geometry()(read_image(root / path, scaling))


def _read_confidence(recipe: Path) -> float:
    if not recipe.is_file():
        return ReportContext().confidence
    from recipes import load_recipe

    return float(load_recipe(recipe).evaluate.confidence)


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
