"""What the page says of the change since another evaluation."""

from pathlib import Path
from typing import Any

import pandas as pd

from finetune.reporting import ReportContext, write_report
from finetune.reporting.change_view import CLASSES_SHOWN, change_view


def row(metric: str, label: str | None, own: float, here: float, half: float | None = 0.1) -> dict[str, Any]:
    difference = here - own
    ends = {"low": None, "high": None} if half is None else {"low": difference - half, "high": difference + half}
    around = {f"{name}_{end}": value for name, value in (("own", own), ("here", here)) for end in ("low", "high")}
    reason = "no honest interval" if half is None else None
    return {
        "metric": metric, "class": label, "own": own, "here": here, "difference": difference, "reason": reason,
        **around, **ends,
    }  # fmt: skip


def test_nothing_to_compare_with_shows_nothing() -> None:
    assert change_view(None) is None


def test_sentences_say_whether_the_images_can_tell() -> None:
    view = change_view([row("accuracy", None, 0.9, 0.7), row("balanced_accuracy", None, 0.9, 0.85)])
    assert view is not None
    assert view["sentences"] == [
        "Balanced accuracy: 0.900 on the run's own test part, 0.850 here, 0.050 lower "
        "(interval −0.150 to +0.050: the images cannot tell them apart).",
        "Accuracy: 0.900 on the run's own test part, 0.700 here, 0.200 lower "
        "(interval −0.300 to −0.100: these images can tell the two apart).",
    ]
    assert [one["is_clear"] for one in view["rows"]] == [True, False]


def test_what_has_no_difference_says_why() -> None:
    bare = {**row("accuracy", None, 0.9, 0.7), "difference": None, "low": None, "high": None, "reason": "no images"}
    view = change_view([bare, row("calibration_error", None, 0.1, 0.2, None)])
    assert view is not None
    assert view["sentences"] == ["Accuracy: no change can be told, no images."]
    assert [(one["difference"], one["range"]) for one in view["rows"]] == [
        ("–", "no images"),
        ("+0.100", "no honest interval"),
    ]


def test_of_many_classes_those_stand_that_fell_most() -> None:
    recalls = [row("recall", f"c{k}", 0.9, 0.9 - k / 1000) for k in range(CLASSES_SHOWN + 5)]
    view = change_view([row("accuracy", None, 0.9, 0.7), *recalls, row("precision", "c1", 0.9, 0.1)])
    assert view is not None
    assert (view["shown"], view["hidden"]) == (CLASSES_SHOWN, 5)
    names = [one["name"] for one in view["rows"]]
    assert names[1] == f"recall of c{CLASSES_SHOWN + 4}"
    assert "recall of c0" not in names


def test_names_of_classes_are_no_markup_and_no_formula(tmp_path: Path) -> None:
    name = "=<script>alert(1)</script>{{7*7}}"
    table = pd.DataFrame({"path": ["1", "2"], "label": [name, "b"], "predicted": [name, "b"], "split": "test"})
    write_report(tmp_path, table, ReportContext(change=[row("recall", name, 0.9, 0.7)]))
    page = (tmp_path / "report.html").read_text()
    assert "recall of =&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}" in page
    assert "<script>alert" not in page
    assert pd.read_csv(tmp_path / "change.csv")["class"][0] == f"'{name}"
