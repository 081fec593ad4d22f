"""Builds the report of a run, or of a bare predictions table, again."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finetune.errors import InputError
from finetune.evaluation import Evaluation, read_predictions
from finetune.reporting.context import ReportContext
from finetune.reporting.writing import write_report

if TYPE_CHECKING:
    from data_tools import Scaling


def rebuild_report(source: Path, out: Path | None = None) -> tuple[Path, Evaluation]:
    """Write the report of a run folder or a predictions table; the folder written to and the evaluation.

    Without `out`, a run's report is rewritten in place, with the same bytes in report.txt,
    report.csv and report.json; a table's goes into a folder `report` beside it.
    """
    if source.is_dir():
        table = source / "predictions.csv"
        if not table.is_file():
            raise InputError(f"{source} holds no predictions.csv; give a run folder or a predictions table.")
        folder, context = out or source, read_context(source)
    elif source.is_file():
        table, folder, context = source, out or source.parent / "report", ReportContext()
    else:
        raise InputError(f"{source} does not exist; give a run folder or a predictions table.")
    return folder, write_report(folder, read_predictions(table), context)


def read_context(run: Path) -> ReportContext:
    """What the files of a run say beside its predictions; each may be missing."""
    report, environment = read_json(run / "report.json"), read_json(run / "environment.json")
    recipe = run / "recipe.yaml"
    data = (environment or {}).get("data")
    image_root = Path(data) if isinstance(data, str) and Path(data).is_dir() else None
    scaling = read_scaling(environment or {})
    labels = (report or {}).get("labels")
    return ReportContext(
        labels=tuple(str(label) for label in labels) if labels else None,
        history=read_table(run / "history.csv"),
        findings=read_table(run / "findings.csv"),
        freeze=read_json(run / "freeze.json"),
        recipe_text=recipe.read_text(encoding="utf-8") if recipe.is_file() else None,
        environment=environment,
        leakage=(report or {}).get("leakage"),
        image_root=image_root,
        small_picture=None if image_root is None else _picture_reader(image_root, scaling),
        warnings=tuple(str(warning) for warning in (report or {}).get("warnings", ())),
        confidence=_read_confidence(recipe, environment or {}),
        change=(report or {}).get("change"),
        explain=None if image_root is None else _explainer(_model_folder(run, environment or {}), image_root, scaling),
    )


def read_scaling(environment: Mapping[str, Any]) -> "Scaling":
    """How deep values became levels in the run; by the bits that files declare where that is not told."""
    from data_tools import Scaling

    told = environment.get("scaling")
    return Scaling(**told) if isinstance(told, dict) and set(told) <= {"rule", "low", "high", "bits"} else Scaling()


def _picture_reader(root: Path, scaling: "Scaling") -> Callable[[str], NDArray[np.uint8]]:
    """Reads an image in thumbnail size."""
    from data_tools import read_image, thumbnail_geometry

    return lambda path: thumbnail_geometry()(read_image(root / path, scaling))


def _model_folder(run: Path, environment: Mapping[str, Any]) -> Path:
    """Where the network lies: in the run, or in the one that was judged on other images here."""
    judged = environment.get("run")
    return Path(judged) / "model" if isinstance(judged, str) else run / "model"


def _explainer(model: Path, root: Path, scaling: "Scaling") -> Callable[[str, str], NDArray[np.uint8] | None] | None:
    """Draws heat maps of the saved network; None where there is none. torch is imported with the first picture."""
    if not (model / "config.json").is_file():
        return None

    @cache
    def load() -> Callable[[str, str], NDArray[np.uint8] | None]:
        from finetune.explaining import explain_saved

        return explain_saved(model, root, scaling)

    return lambda path, label: load()(path, label)


def _read_confidence(recipe: Path, environment: Mapping[str, Any]) -> float:
    """Of the run's recipe; an evaluation, which has none, tells it beside its versions."""
    if not recipe.is_file():
        told = environment.get("confidence")
        return float(told) if isinstance(told, float) and 0 < told < 1 else ReportContext().confidence
    from recipes import load_recipe

    return float(load_recipe(recipe).evaluate.confidence)


def read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); the run is damaged. Remove the file to go on.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object; the run is damaged. Remove the file to go on.")
    return content


def read_table(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="surrogateescape")
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path} is not a table ({error}); the run is damaged. Remove the file to go on.") from error
