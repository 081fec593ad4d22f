"""What the page shows of the change since another evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

from finetune.reporting.views import METRIC_WORDS, format_number

CLASSES_SHOWN = 30
_HEADLINES = ("balanced_accuracy", "accuracy", "roc_auc")
_SAME = 0.0005
"""What shows as 0.000."""


def change_view(change: Sequence[Mapping[str, Any]] | None) -> dict[str, Any] | None:
    """A sentence each on the metrics to read first, then rows: overall metrics, and recalls of those classes that fell
    most; None where there is nothing to compare with.
    """
    if change is None:
        return None
    overall = [row for row in change if row["class"] is None]
    recalls = [row for row in change if row["class"] is not None and row["metric"] == "recall"]
    fallen = sorted(recalls, key=lambda row: (row["difference"] is None, row["difference"] or 0.0))[:CLASSES_SHOWN]
    return {
        "sentences": [_sentence(row) for name in _HEADLINES for row in overall if row["metric"] == name],
        "rows": [_cells(row) for row in (*overall, *fallen)],
        "shown": len(fallen),
        "hidden": len(recalls) - len(fallen),
    }


def _sentence(row: Mapping[str, Any]) -> str:
    """Whether a metric fell or rose, and whether the images can tell."""
    word = METRIC_WORDS[row["metric"]]
    name = word if word[0].isupper() else word.capitalize()
    if row["difference"] is None:
        return f"{name}: no change can be told, {row['reason']}."
    difference, low, high = row["difference"], row["low"], row["high"]
    moved = (
        "as before" if abs(difference) < _SAME else f"{abs(difference):.3f} {'lower' if difference < 0 else 'higher'}"
    )
    text = f"{name}: {format_number(row['own'])} on the run's own test part, {format_number(row['here'])} here, {moved}"
    if low is None or high is None:
        return f"{text}."
    can_tell = "these images can tell the two apart" if low > 0 or high < 0 else "the images cannot tell them apart"
    return f"{text} (interval {_signed(low)} to {_signed(high)}: {can_tell})."


def _cells(row: Mapping[str, Any]) -> dict[str, Any]:
    word = METRIC_WORDS[row["metric"]]
    has_interval = row["low"] is not None
    return {
        "name": word if row["class"] is None else f"{word} of {row['class']}",
        "own": _with_range(row, "own"),
        "here": _with_range(row, "here"),
        "difference": "–" if row["difference"] is None else _signed(row["difference"]),
        "range": f"{_signed(row['low'])} to {_signed(row['high'])}" if has_interval else row["reason"] or "",
        "is_clear": has_interval and (row["low"] > 0 or row["high"] < 0),
    }


def _with_range(row: Mapping[str, Any], name: str) -> tuple[str, str]:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return format_number(row[name]), "" if low is None else f"{format_number(low)} to {format_number(high)}"


def _signed(number: float) -> str:
    text = f"{number:+.3f}"
    return "0.000" if text in ("+0.000", "-0.000") else text.replace("-", "−")
