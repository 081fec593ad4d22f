"""A report that may be passed on: no pictures, no names of images or groups, nothing of the user or the machine."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from finetune.errors import InputError
from finetune.evaluation import Evaluation, normalise_predictions, read_predictions
from finetune.evaluation.predictions import GROUP, LABEL, PATH, PREDICTED, SCORE_PREFIX, SPLIT
from finetune.files import write_csv
from finetune.reporting.context import ReportContext
from finetune.reporting.rebuilding import find_report_source
from finetune.reporting.writing import write_report
from recipes import dump_recipe, load_recipe

TABLE = "predictions.csv"
LEFT_OUT = "(left out)"
KEPT_FIELDS = ("labels", "history", "freeze", "leakage", "evaluate", "trained", "change", "folds", "learning_curve")
CHANGED_FIELDS = ("findings", "recipe_text", "environment", "warnings", "is_shared")
DROPPED_FIELDS = ("dataset", "image_root", "small_picture", "explain", "label_issues")
"""What becomes of each field of a ReportContext; one that is named nowhere is dropped."""
_KEPT_COLUMNS = (PATH, LABEL, GROUP, SPLIT, PREDICTED, "fold", "repeat")
_KEPT_FACTS = ("versions", "seed", "threads", "workers", "device", "scaling")
_WEIGHTS_WORDS = ("pretrained", "embedded", "none")
_CODE_DIGITS = 16

Code = Callable[[str, str], str]


def share_report(
    source: Path,
    out: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    *,
    with_table: bool = False,
) -> tuple[Path, Evaluation]:
    """Write the report of a run or a predictions table as it may be passed on; the folder and the evaluation.

    Without `out` it goes into a folder `share` in the run, or in the table's report. `with_table` adds a
    predictions.csv of scores under code names. The codes are hashes with a random salt that is not kept, so that a
    short name, such as the number of a patient, cannot be guessed; two shared reports of one run differ in them.

    Raises InputError where the folder holds a run or a table, which would be passed on with the report.
    """
    table, home, context = find_report_source(source, overrides)
    folder = out or home / "share"
    _check_folder(folder, table, with_table)
    code = _draw_codes()
    original = normalise_predictions(read_predictions(table))
    coded = original.assign(
        **{
            PATH: [code("image", path) for path in original[PATH].astype(str)],
            GROUP: [code("group", group) if group else "" for group in original[GROUP].astype(str)],
        }
    )
    evaluation = write_report(folder, coded, _censor(context, original, source / "recipe.yaml", code))
    if with_table:
        scored = [name for name in coded.columns if name in _KEPT_COLUMNS or str(name).startswith(SCORE_PREFIX)]
        write_csv(folder / TABLE, coded[scored].sort_values(PATH))
    return folder, evaluation


def _check_folder(folder: Path, table: Path, with_table: bool) -> None:
    """Only a predictions.csv that was shared before may be there, and that only to be replaced."""
    is_own = with_table and (folder / TABLE).resolve() != table.resolve()
    for name in ("recipe.yaml", TABLE, table.name):
        if is_own and name == TABLE:
            continue
        if (folder / name).exists():
            raise InputError(f"{folder} holds {name}, which is not to be passed on; choose another --out.")


def _draw_codes() -> Code:
    salt = secrets.token_bytes(32)

    def code(kind: str, name: str) -> str:
        content = f"{kind}\0{name}".encode(errors="surrogateescape")
        return f"{kind}-{hmac.new(salt, content, hashlib.sha256).hexdigest()[:_CODE_DIGITS]}"

    return code


def _censor(context: ReportContext, table: pd.DataFrame, recipe: Path, code: Code) -> ReportContext:
    kept: dict[str, Any] = {name: getattr(context, name) for name in KEPT_FIELDS}
    return ReportContext(
        **kept,
        findings=None if context.findings is None else _count_only(context.findings),
        recipe_text=_censor_recipe(recipe) if context.recipe_text else None,
        environment=_censor_environment(context.environment),
        warnings=tuple(_censor_warning(warning, table, context.labels, code) for warning in context.warnings),
        is_shared=True,
    )


def _count_only(findings: pd.DataFrame) -> pd.DataFrame:
    return findings.assign(**{name: "" for name in findings.columns if name not in ("check", "severity")})


def _censor_environment(environment: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if environment is None else {key: environment[key] for key in _KEPT_FACTS if key in environment}


def _censor_recipe(recipe: Path) -> str:
    """The recipe without names of files and columns, nor any text that could be a path."""
    read = load_recipe(recipe)
    names = {name: LEFT_OUT for name in ("metadata", "group", "splits") if getattr(read.data, name) is not None}
    weights = {} if read.model.weights in _WEIGHTS_WORDS else {"weights": LEFT_OUT}
    sections = {"data": read.data.model_copy(update=names), "model": read.model.model_copy(update=weights)}
    return re.sub(r'"[^"\n]*[/\\][^"\n]*"', f'"{LEFT_OUT}"', dump_recipe(read.model_copy(update=sections)))


def _censor_warning(warning: str, table: pd.DataFrame, labels: tuple[str, ...] | None, code: Code) -> str:
    """A warning with the names of images and groups that it quotes, unless they are those of classes, as codes."""
    kinds = {str(name): kind for kind, column in (("image", PATH), ("group", GROUP)) for name in table[column]}
    known = set(labels or table[LABEL])

    def censored(quoted: re.Match[str]) -> str:
        name = quoted[1]
        return f"'{code(kinds[name], name)}'" if name in kinds and name not in known else quoted[0]

    return re.sub(r"'([^']*)'", censored, warning)
