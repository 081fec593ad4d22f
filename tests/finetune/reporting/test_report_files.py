"""The files of a report, as a reader or another program meets them."""

import base64
import csv
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import classification_report

from finetune.errors import InputError
from finetune.evaluation import evaluate_predictions
from finetune.files import write_csv, write_json
from finetune.reporting import ReportContext, rebuild_report, write_report
from finetune.reporting.sentences import class_sentence, percent

FILES = {"report.txt", "report.csv", "report.json", "report.md", "report.html"}
METRIC_KEYS = {"value", "low", "high", "method", "n_eff"}
NAMES = ("ants", "bees", "<script>alert(1)</script>", "{{7*7}}", "=1+1", "$x$", "_dark", "蟻")


def make_table(images: int = 80, labels: tuple[str, ...] = NAMES, split: str = "test") -> pd.DataFrame:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, len(labels), images)
    logits = rng.normal(size=(images, len(labels)))
    logits[np.arange(images), truth] += 1.5
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    columns = {
        "path": [f"{labels[k]}/{number}.png" for number, k in enumerate(truth)],
        "label": [labels[k] for k in truth],
        "group": "",
        "split": split,
        "predicted": [labels[k] for k in scores.argmax(axis=1)],
    }
    return pd.DataFrame(columns | {f"score_{name}": scores[:, k].astype(np.float32) for k, name in enumerate(labels)})


def full_context(root: Path | None) -> ReportContext:
    history = {"phase": ["main"] * 2, "epoch": [1, 2], "learning_rate": [1e-3, 1e-4], "train_loss": [0.9, 0.5]}
    history |= {"val_loss": [0.8, 0.6], "val_balanced_accuracy": [0.7, 0.8], "seconds": [1.0, 1.0]}
    finding = {"check": "odd_file", "severity": "note", "path": "<b>.gif", "other_path": "", "detail": "a GIF"}
    stages = [{"name": "stem", "parameters": 10, "frozen": True}, {"name": "head", "parameters": 4, "frozen": False}]
    freeze = {"policy": "first-three", "stages": stages, "cut": [], "trainable_parameters": 4, "frozen_parameters": 10}
    freeze |= {"frozen_sha256_before": "ab", "frozen_sha256_after": "ab", "verified": True}
    return ReportContext(
        labels=NAMES,
        history=pd.DataFrame(history),
        findings=pd.DataFrame([finding]),
        freeze=freeze,
        environment={"versions": {"torch": "2.9"}, "seed": 0},
        leakage={"duplicates_across_splits": 0, "groups_across_splits": 0},
        image_root=root,
        warnings=("the class '=1+1' is small",),
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, make_table(), full_context(None))
    return folder


def read_json(folder: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_text_is_that_of_scikit_learn_to_the_letter(report: Path) -> None:
    table = make_table()
    names = list(NAMES)
    wanted = classification_report(
        table["label"], table["predicted"], labels=names, target_names=names, zero_division=0
    )
    assert (report / "report.txt").read_text(encoding="utf-8") == wanted


def test_json_has_exactly_the_keys_of_the_schema(report: Path) -> None:
    content = read_json(report)
    assert list(content) == [
        *("schema", "task", "split", "images", "groups", "labels", "per_class", "overall"),
        *("confusion_matrix", "thresholds", "calibration", "costs", "prevalence", "by_group", "subgroups"),
        *("warnings", "freeze_verified", "leakage"),
    ]
    assert set(content["overall"]) == {
        *("accuracy", "balanced_accuracy", "macro_f1", "mcc", "roc_auc", "log_loss", "brier", "calibration_error")
    }
    assert list(content["per_class"]) == list(NAMES) == content["labels"]
    for row in content["per_class"].values():
        assert set(row) == {
            *("precision", "recall", "f1", "specificity", "npv", "roc_auc", "average_precision", "support")
        }
        assert all(set(metric) - {"reason"} == METRIC_KEYS for name, metric in row.items() if name != "support")
    assert (content["schema"], content["task"], content["thresholds"]) == (1, "multiclass", None)
    assert content["freeze_verified"] is True
    assert content["leakage"] == {"duplicates_across_splits": 0, "groups_across_splits": 0}
    assert content["warnings"][0] == "the class '=1+1' is small"
    assert np.array(content["confusion_matrix"]).sum() == content["images"] == 80


def test_undefined_numbers_are_null_with_a_reason(tmp_path: Path) -> None:
    table = make_table(30, ("a", "b"))
    write_report(tmp_path, table[table["label"] == "a"])
    metric = read_json(tmp_path)["per_class"]["b"]["recall"]
    assert metric == dict.fromkeys(METRIC_KEYS) | {"reason": "no image is of this class"}
    assert read_json(tmp_path)["freeze_verified"] is None


def test_an_average_and_a_calibration_error_tell_what_else_belongs_to_them(tmp_path: Path) -> None:
    table = make_table(40, ("a", "b", "c"))
    write_report(tmp_path, table[table["label"] != "c"])
    overall = read_json(tmp_path)["overall"]
    assert overall["balanced_accuracy"]["classes"] == ["a", "b"]
    assert set(overall["accuracy"]) == METRIC_KEYS
    error = overall["calibration_error"]
    assert set(error) == METRIC_KEYS | {"reason", "expected_if_calibrated"}
    assert 0 < error["expected_if_calibrated"] < 1
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"{error['expected_if_calibrated']:.3f} would be expected" in page
    assert "over 2 of 3 classes" in page


def test_csv_has_a_row_a_class_and_no_formula(report: Path) -> None:
    with (report / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == [name if name != "=1+1" else "'=1+1" for name in NAMES]
    content = read_json(report)["per_class"]["ants"]["recall"]
    assert [float(rows[0][f"recall{end}"]) for end in ("", "_low", "_high")] == [
        content[key] for key in ("value", "low", "high")
    ]


def test_page_shows_odd_names_as_text_and_runs_its_own_script_alone(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    assert re.findall("<script[^>]*>", page) == ['<script type="application/json" id="images-behind">', "<script>"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{7*7}}" in page
    assert "&lt;b&gt;.gif" in page
    assert "for research use only" in page.lower()
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert " style=" not in page
    assert not re.search(r"\son\w+=", page)


def test_page_allows_its_own_style_and_script_alone(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    inline = [page.split(f"<{name}>")[1].split(f"</{name}>")[0] for name in ("style", "script")]
    style, script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline)
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri"
    assert policy in page
    assert "unsafe" not in page


def test_page_speaks_of_warnings_before_numbers(report: Path) -> None:
    page = (report / "report.html").read_text(encoding="utf-8")
    assert 0 < page.index("the class &#39;=1+1&#39; is small") < page.index("Balanced accuracy")


def test_mistakes_come_with_thumbnails_that_carry_no_metadata(tmp_path: Path) -> None:
    pytest.importorskip("data_tools.decoding")
    table = make_table(20, ("a", "b"))
    for path in table["path"]:
        target = tmp_path / "images" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x010E] = "patient Anna"
        Image.new("RGB", (400, 300), "teal").save(target, exif=exif)
    outside = table.iloc[[0]].assign(path="../a/0.png", label="a", predicted="b")
    table = pd.concat([table, outside], ignore_index=True)
    write_report(tmp_path / "out", table, ReportContext(image_root=tmp_path / "images"))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    section = page.split("<h2>Mistakes to look at</h2>")[1].split("</section>")[0]
    thumbnails = re.findall(r"data:image/jpeg;base64,([^\"]+)", section)
    everywhere = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    wrong = int((table["label"] != table["predicted"]).sum())
    assert 0 < len(thumbnails) == min(wrong - 1, 11) or len(thumbnails) == 12
    assert len(everywhere) > len(thumbnails)
    assert all(b"Anna" not in base64.b64decode(content) for content in everywhere)
    assert "no image at hand" in page


def test_every_figure_is_written_and_stale_ones_go(tmp_path: Path) -> None:
    write_report(tmp_path, make_table(), full_context(None))
    names = {"confusion_matrix.png", "roc.png", "precision_recall.png", "reliability.png", "history.png"}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == names
    bare = make_table()[["path", "label", "predicted"]]
    write_report(tmp_path, bare)
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"confusion_matrix.png"}


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_table_gives_the_same_bytes(report: Path, tmp_path: Path) -> None:
    write_report(tmp_path, make_table(), full_context(None))
    assert all_bytes(tmp_path) == all_bytes(report)
    assert len(all_bytes(tmp_path)) == 10


def test_rebuilding_a_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run, context, table = tmp_path / "run", full_context(None), make_table()
    write_report(run, table, context)
    write_csv(run / "predictions.csv", table)
    write_csv(run / "history.csv", context.history)
    write_csv(run / "findings.csv", context.findings)
    write_json(run / "freeze.json", context.freeze)
    write_json(run / "environment.json", context.environment)
    before = all_bytes(run)
    assert rebuild_report(run, None)[0] == run
    after = all_bytes(run)
    assert {name for name in before if before[name] != after[name]} <= {"report.html"}
    assert set(after) >= FILES
    folder, _ = rebuild_report(run, tmp_path / "elsewhere")
    again = all_bytes(folder)
    assert {name: again[name] for name in FILES} == {name: after[name] for name in FILES}


def test_a_run_is_rebuilt_at_the_confidence_of_its_recipe(tmp_path: Path) -> None:
    pytest.importorskip("recipes.loading")
    write_csv(tmp_path / "predictions.csv", make_table(40, ("a", "b")))
    (tmp_path / "recipe.yaml").write_text("evaluate:\n  confidence: 0.8\n", encoding="utf-8")
    _, evaluation = rebuild_report(tmp_path)
    wide = evaluate_predictions(make_table(40, ("a", "b")), ("a", "b"), confidence=0.8)
    assert evaluation.overall["accuracy"] == wide.overall["accuracy"]


def test_a_bare_table_is_reported_beside_itself(tmp_path: Path) -> None:
    write_csv(tmp_path / "theirs.csv", make_table(40, ("b", "a"))[["path", "label", "predicted", "score_b", "score_a"]])
    folder, evaluation = rebuild_report(tmp_path / "theirs.csv")
    assert folder == tmp_path / "report"
    assert evaluation.labels == ("b", "a")
    assert {path.name for path in folder.iterdir()} == FILES | {"figures"}


def test_what_is_neither_run_nor_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        rebuild_report(tmp_path / "none")
    with pytest.raises(InputError, match=r"holds no predictions\.csv"):
        rebuild_report(tmp_path)


def recall(folder: Path, label: str) -> float:
    value = read_json(folder)["per_class"][label]["recall"]["value"]
    return 2.0 if value is None else float(value)


def test_many_classes_make_a_page_of_bearable_size(tmp_path: Path) -> None:
    labels = tuple(f"c{number:03d}" for number in range(150))
    write_report(tmp_path, make_table(600, labels))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(page) < 500_000
    assert "The 24 classes of lowest recall, of 150" in page
    table = page.split('<table id="numbers">')[1].split("</table>")[0]
    assert re.findall('<th scope="row">([^<]+)</th>', table) == sorted(
        labels, key=lambda label: recall(tmp_path, label)
    )
    assert len(read_json(tmp_path)["per_class"]) == 150


def test_a_class_is_told_in_one_sentence() -> None:
    truth = ["ants"] * 70 + ["bees"] * 84
    called = ["bees"] * 3 + ["ants"] * 67 + ["bees"] * 84
    table = pd.DataFrame({"path": "x", "label": truth, "predicted": called})
    evaluation = evaluate_predictions(table, ("ants", "bees", "wasps"))
    assert class_sentence(evaluation, 0, 0.95) == "misses 3 of 70 ants (4 %, 95 % interval 1 to 12 %), all as bees"
    assert class_sentence(evaluation, 1, 0.95) == "finds all 84 of bees (misses 0 %, 95 % interval 0 to 4 %)"
    assert class_sentence(evaluation, 2, 0.95) == "no wasps among the images, so nothing is known about it"


def test_a_class_that_is_called_by_a_number_is_told_from_the_count() -> None:
    table = pd.DataFrame({"path": "x", "label": ["2"] * 10, "predicted": ["2"] * 8 + ["1"] * 2})
    evaluation = evaluate_predictions(table, ("1", "2"))
    assert class_sentence(evaluation, 1, 0.95).startswith("misses 2 of 10 '2' (20 %")
    assert class_sentence(evaluation, 1, 0.95).endswith("all as '1'")


def test_percentages_near_the_ends_keep_the_digit_that_counts() -> None:
    assert [percent(share) for share in (0, 0.004, 0.00001, 0.5, 0.996, 1)] == ["0", "0.4", "0", "50", "99.6", "100"]
