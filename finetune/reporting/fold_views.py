"""What the page shows of a cross-validation: its folds, whether more images would help, and labels to check."""

from typing import Any

import numpy as np
import pandas as pd

from finetune.reporting.context import ReportContext
from finetune.reporting.tables import spread_over_folds
from finetune.reporting.thumbnails import thumbnail_uri

ISSUES_SHOWN = 12
_NO_GAIN = 0.01
"""A gain of balanced accuracy that is not worth new images."""


def describe_folds(table: pd.DataFrame | None) -> dict[str, Any] | None:
    """The rows of folds.csv, the spread of their balanced accuracy and how often each recipe was chosen."""
    if table is None:
        return None
    told = spread_over_folds(table)
    spread = told["spread"].get("balanced_accuracy")
    chosen = table["chosen"].astype(str).value_counts()
    return {
        "rows": table.to_dict("records"),
        "repeats": told["repeats"],
        "count": told["folds"],
        "spread": (spread["low"], spread["high"]) if spread else None,
        "deviation": spread["deviation"] if spread else None,
        "chosen": [(str(name), int(count)) for name, count in chosen.items()] if len(chosen) > 1 else [],
    }


def label_issues(table: pd.DataFrame | None, context: ReportContext) -> list[dict[str, Any]]:
    """The images for which another class than their label is suggested, the least believed label first."""
    if table is None:
        return []
    doubted = table[table["label"] != table["suggested"]].head(ISSUES_SHOWN)
    columns = ["path", "label", "suggested", "confidence", "suggested_score"]
    rows = [dict(zip(columns, row, strict=True)) for row in doubted[columns].itertuples(index=False)]
    return [{**row, "thumbnail": thumbnail_uri(context, str(row["path"]))} for row in rows]


def curve_sentence(curve: pd.DataFrame) -> str:
    """Whether more images would help, by what the second half of them brought."""
    if len(curve) < 2:
        return "The classes are too small to train on fewer images, so this cannot be told."
    half, whole = curve.iloc[-2], curve.iloc[-1]
    gain, low, high = (float(half[name]) for name in ("gain", "gain_low", "gain_high"))
    told = (
        f"from {half['images']:.0f} to {whole['images']:.0f} training images balanced accuracy went "
        f"from {half['balanced_accuracy']:.3f} to {whole['balanced_accuracy']:.3f}"
    )
    if np.isnan([gain, low, high]).any():
        return f"These images cannot tell: {told}."
    interval = f"difference {gain:+.3f}, interval {low:+.3f} to {high:+.3f}"
    if low > 0:
        return (
            f"Yes, most likely: {told} ({interval}). The curve still rises; as many images again should help further."
        )
    if high < _NO_GAIN:
        return f"Hardly: {told} ({interval}), so the second half of the images brought less than a point."
    return f"These images cannot tell: {told} ({interval})."
