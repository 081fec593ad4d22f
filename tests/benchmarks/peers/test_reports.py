"""`finetune report` on what the other tools of the comparison leave, and on a table from anywhere."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, classification_report

from benchmarks.peers.jobs import PEERS
from benchmarks.peers.tools.task import PREDICTIONS_FILE, Row, Task, write_results
from finetune.reporting import rebuild_report

LABELS = ("NORMAL", "PNEUMONIA, bacterial", "Ähre")
FLOATS = {"script": np.float64} | dict.fromkeys(("plain", "fastai", "trainer", "lightning"), np.float32)
"""scikit-learn's probabilities, or those of torch."""


def make_task(out: Path) -> Task:
    """30 images to train on and 60 to test, of 20 patients, of which every row says all."""
    rows = [
        Row(f"{LABELS[n % 3]}/{n}.jpg", LABELS[n % 3], f"patient-{n // 3}", "train" if n < 30 else "test")
        for n in range(90)
    ]
    return Task(out.parent, tuple(rows), out, "resnet18", "none", 0, None, None, None, None)


def draw_scores(task: Task) -> np.ndarray:
    truth = np.array(task.targets("test"))
    logits = np.random.default_rng(2).normal(size=(len(truth), len(LABELS)))
    logits[np.arange(len(truth)), truth] += 1.5
    return softmax(logits, axis=1)


@pytest.mark.parametrize("tool", PEERS)
def test_the_predictions_of_every_tool_give_a_whole_report(tool: str, tmp_path: Path) -> None:
    task = make_task(tmp_path / tool)
    scores = draw_scores(task).astype(FLOATS[tool])
    write_results(task, scores.tolist(), {"tool": tool}, epochs=1, views=1)
    folder, evaluation = rebuild_report(task.out / PREDICTIONS_FILE)
    assert folder == task.out / "report"
    names = sorted(LABELS)
    assert evaluation.labels == tuple(names)
    truth = [row.label for row in task.part("test")]
    predicted = [names[k] for k in scores.argmax(axis=1)]
    assert evaluation.overall["balanced_accuracy"].value == pytest.approx(
        balanced_accuracy_score(truth, predicted), 1e-12
    )
    told = classification_report(truth, predicted, labels=names, target_names=names, zero_division=0)
    assert (folder / "report.txt").read_text(encoding="utf-8") == told
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert (report["images"], report["groups"]) == (60, 20)
    assert all(metric["value"] is not None for metric in report["overall"].values())
    assert {path.name for path in folder.iterdir()} == {
        *("report.txt", "report.csv", "report.json", "report.md", "report.html", "figures")
    }


def test_a_bare_table_from_anywhere_gives_a_report(tmp_path: Path) -> None:
    task = make_task(tmp_path / "theirs")
    scores = draw_scores(task)
    table = pd.DataFrame({"path": "x", "label": [row.label for row in task.part("test")]})
    table["predicted"] = [sorted(LABELS)[k] for k in scores.argmax(axis=1)]
    for k, label in enumerate(sorted(LABELS)):
        table[f"score_{label}"] = [f"{100 * score:.1f}" for score in scores[:, k]]
    table.to_csv(tmp_path / "theirs.csv", index=False)
    folder, evaluation = rebuild_report(tmp_path / "theirs.csv")
    assert evaluation.overall["roc_auc"].value is not None
    reason = "the scores are no probabilities: they do not lie in 0 to 1 or do not sum to 1"
    for name in ("log_loss", "brier", "calibration_error"):
        assert (evaluation.overall[name].value, evaluation.overall[name].reason) == (None, reason)
    assert f"No reliability diagram: {reason}." in (folder / "report.html").read_text(encoding="utf-8")
    assert not (folder / "figures" / "reliability.png").exists()
