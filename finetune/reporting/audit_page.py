"""Renders the audit of a dataset as one offline page: what was found, with pictures, and what to do about it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_tools import Dataset
from data_tools.advice import ADVICE
from data_tools.columns import SEVERITIES, SPLITS
from finetune.reporting.context import ReportContext
from finetune.reporting.templating import open_templates
from finetune.reporting.thumbnails import data_uri, thumbnail_uri

ROWS_SHOWN = 40
PICTURED = 12
"""Findings of a check that are shown with their pictures; each takes some 20 KB of the page."""
CLASSES_SHOWN = 60


def render_audit(
    dataset: Dataset, small_picture: Callable[[str], NDArray[np.uint8]], preview: bytes | None = None
) -> str:
    """The page; `small_picture` reads an image in thumbnail size, `preview` is a PNG of augmented images."""
    environment, style = open_templates()
    context = ReportContext(image_root=dataset.root, small_picture=small_picture)
    return environment.get_template("audit.html.j2").render(
        **style,
        images=len(dataset.table),
        used=int((dataset.table["status"] == "ok").sum()),
        root=dataset.root.name,
        rule=dataset.held_out_note,
        classes=count_classes(dataset)[:CLASSES_SHOWN],
        class_count=len(dataset.labels),
        splits=SPLITS,
        checks=_describe_checks(dataset, context),
        preview=None if preview is None else data_uri(preview, "image/png"),
    )


def count_classes(dataset: Dataset) -> list[dict[str, Any]]:
    """For each class the images and groups of each split, and the images that were skipped."""
    counted = []
    for label in dataset.labels:
        rows = dataset.table[dataset.table["label"] == label]
        used = rows[rows["status"] == "ok"]
        parts = {split: used[used["split"] == split] for split in SPLITS}
        counted.append(
            {
                "label": label,
                "images": {split: len(part) for split, part in parts.items()},
                "groups": {split: count_groups(part) for split, part in parts.items()},
                "skipped": len(rows) - len(used),
            }
        )
    return counted


def count_groups(rows: pd.DataFrame) -> int:
    """Groups of some images, each without one counting as its own."""
    grouped = rows[rows["group"] != ""]
    return int(grouped["group"].nunique()) + len(rows) - len(grouped)


def _describe_checks(dataset: Dataset, context: ReportContext) -> list[dict[str, Any]]:
    """What each check found, the gravest first."""
    described, readable = [], set(dataset.table[dataset.table["status"] == "ok"]["path"])
    for (severity, check), rows in dataset.findings.groupby(["severity", "check"], sort=False):
        meaning, advice = ADVICE[str(check)]
        told = rows.head(ROWS_SHOWN).to_dict("records")
        for row in told[:PICTURED]:
            paths = [str(row[column]) for column in ("path", "other_path")]
            row["pictures"] = [thumbnail_uri(context, path) for path in paths if path in readable]
        described.append(
            {
                "name": str(check).replace("_", " "),
                "severity": str(severity),
                "count": len(rows),
                "meaning": meaning,
                "advice": advice,
                "pictured": [row for row in told[:PICTURED] if any(row["pictures"])],
                "rows": told,
                "hidden": len(rows) - len(told),
            }
        )
    return sorted(described, key=lambda one: SEVERITIES.index(one["severity"]))
