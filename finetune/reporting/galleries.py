"""The pictures of a page: the worst mistakes, the most uncertain images, and the images behind the confusion matrix."""

from typing import Any

import numpy as np
import pandas as pd

from finetune.evaluation.predictions import LABEL, PATH, PREDICTED
from finetune.reporting.answers import FIRST_SCORE, SCORE, SECOND_SCORE
from finetune.reporting.context import ReportContext
from finetune.reporting.thumbnails import overlay_uri, thumbnail_uri

GALLERY_IMAGES = 12
LISTED_IN_CELL, LISTED_IN_ALL = 100, 4000
"""Images that the confusion matrix can list; each takes some 100 bytes of the page."""
PICTURED_IN_CELL, PICTURED_IN_ALL = 12, 160
"""Those of them that are shown as pictures; each takes some 5 KB."""
CELL_PICTURE_SIDE = 112

Cell = tuple[str, str]


def worst_mistakes(answers: pd.DataFrame, context: ReportContext) -> list[dict[str, Any]]:
    """The wrong answers given with most confidence, with pictures where the images are at hand."""
    wrong = answers[answers[LABEL] != answers[PREDICTED]]
    return _pictured(wrong.assign(_order=-wrong[SCORE].fillna(0)), context)


def most_uncertain(answers: pd.DataFrame, context: ReportContext) -> list[dict[str, Any]]:
    """The images whose two best classes have the nearest scores; none where there are no scores."""
    scored = answers[np.isfinite(answers[FIRST_SCORE])]
    return _pictured(scored.assign(_order=scored[FIRST_SCORE] - scored[SECOND_SCORE]), context)


def _pictured(answers: pd.DataFrame, context: ReportContext) -> list[dict[str, Any]]:
    first = answers.sort_values(["_order", PATH], kind="stable").head(GALLERY_IMAGES)
    return [
        {
            **{str(name): _known(value) for name, value in row.items()},
            "thumbnail": thumbnail_uri(context, row[PATH]),
            "overlay": overlay_uri(context, row[PATH], row[PREDICTED]),
        }
        for row in first.to_dict("records")
    ]


def images_behind(cells: list[Cell], answers: pd.DataFrame, context: ReportContext) -> list[dict[str, Any]]:
    """For each pair (label, answer) its images: how many, and of as many as the page can bear path, scores, picture.

    Mistakes come before right answers, and take what room there is; the surest mistakes and the least sure right
    answers of a cell come first.
    """
    by_cell = dict(iter(answers.groupby([LABEL, PREDICTED], sort=False)))
    listed, pictured = LISTED_IN_ALL, PICTURED_IN_ALL
    behind = []
    for cell in sorted(cells, key=lambda cell: cell[0] == cell[1]):
        if cell not in by_cell:
            continue
        is_right = cell[0] == cell[1]
        order = by_cell[cell][SCORE].fillna(0) * (1 if is_right else -1)
        rows = by_cell[cell].assign(_order=order).sort_values(["_order", PATH], kind="stable")
        shown = rows.head(min(LISTED_IN_CELL, listed))
        listed -= len(shown)
        images = []
        for place, row in enumerate(shown.to_dict("records")):
            may_show = place < PICTURED_IN_CELL and pictured > 0
            picture = thumbnail_uri(context, row[PATH], CELL_PICTURE_SIDE) if may_show else None
            pictured -= picture is not None
            images.append([row[PATH], _known(row[SCORE]), picture or ""])
        behind.append({"label": cell[0], "answer": cell[1], "count": len(rows), "images": images})
    return behind


def _known(value: Any) -> Any:
    """A cell of a table as JSON has it: None for NaN."""
    return None if isinstance(value, float) and np.isnan(value) else value
