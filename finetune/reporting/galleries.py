"""The pictures of a page: the worst mistakes, the most uncertain images, and the images behind the confusion matrix."""

from collections.abc import Sequence
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
    first = answers.sort_values(["_order", PATH], kind="stable").drop_duplicates(PATH).head(GALLERY_IMAGES)
    return [
        {
            **{str(name): _known(value) for name, value in row.items()},
            "thumbnail": thumbnail_uri(context, row[PATH]),
            "overlay": overlay_uri(context, row[PATH], row[PREDICTED]),
        }
        for row in first.to_dict("records")
    ]


def images_behind(cells: Sequence[Cell], answers: pd.DataFrame, context: ReportContext) -> list[dict[str, Any]]:
    """For each pair (label, answer) its images: how many, and of as many as the page can bear path, score, picture.

    The surest mistakes and the least sure right answers of a cell come first; cells of mistakes take what room there
    is before those of right answers.
    """
    grouped = dict(iter(answers.groupby([LABEL, PREDICTED], sort=False)))
    filled = sorted((cell for cell in cells if cell in grouped), key=lambda cell: cell[0] == cell[1])
    counts = [len(grouped[cell]) for cell in filled]
    listed = _share_out(counts, LISTED_IN_CELL, LISTED_IN_ALL)
    pictured = _share_out(counts, PICTURED_IN_CELL, PICTURED_IN_ALL)
    behind = []
    for cell, count, most_listed, most_pictured in zip(filled, counts, listed, pictured, strict=True):
        order = grouped[cell][SCORE].fillna(0) * (1 if cell[0] == cell[1] else -1)
        rows = grouped[cell].assign(_order=order).sort_values(["_order", PATH], kind="stable").head(most_listed)
        images = [
            [path, _known(score), (thumbnail_uri(context, path, CELL_PICTURE_SIDE) if place < most_pictured else None)]
            for place, (path, score) in enumerate(zip(rows[PATH], rows[SCORE], strict=True))
        ]
        behind.append({"label": cell[0], "answer": cell[1], "count": count, "images": images})
    return behind


def _share_out(counts: Sequence[int], most: int, in_all: int) -> list[int]:
    """How many of each of `counts` are taken: up to the same number, at most `most`, of all, `in_all` together."""
    while most > 1 and sum(min(count, most) for count in counts) > in_all:
        most -= 1
    taken, left = [], in_all
    for count in counts:
        taken.append(min(count, most, left))
        left -= taken[-1]
    return taken


def _known(value: Any) -> Any:
    """A cell of a table as JSON has it: None for NaN."""
    return None if isinstance(value, float) and np.isnan(value) else value
