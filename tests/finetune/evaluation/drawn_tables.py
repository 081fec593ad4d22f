"""Predictions tables for the tests of evaluation, and what scikit-learn says of them."""

import math

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from sklearn import metrics as sk

from finetune.evaluation import Evaluation, Metric, evaluate_predictions

LABELS = ("a", "b", "c", "d")


def make_table(truth: list[int], scores: np.ndarray, groups: list[str]) -> pd.DataFrame:
    """A predictions table over the first classes of LABELS, as many as `scores` has columns."""
    names = LABELS[: scores.shape[1]]
    columns = {
        "path": [f"{number}.png" for number in range(len(truth))],
        "label": [names[k] for k in truth],
        "group": groups,
        "split": "test",
        "predicted": [names[int(k)] for k in scores.argmax(axis=1)],
    }
    return pd.DataFrame(columns | {f"score_{name}": scores[:, k] for k, name in enumerate(names)})


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits)
    return raised / raised.sum(axis=1, keepdims=True)


@st.composite
def tables(draw: st.DrawFn, most_images: int = 30) -> pd.DataFrame:
    """Tables with absent classes, ties, rounded scores, all right or all wrong, one image, one group."""
    classes = draw(st.integers(2, 4))
    images = draw(st.integers(1, most_images))
    drawn = st.lists(st.integers(0, draw(st.integers(0, classes - 1))), min_size=images, max_size=images)
    truth = draw(drawn)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = rng.normal(size=(images, classes))
    kind = draw(st.sampled_from(["mixed", "right", "wrong", "tied", "rounded"]))
    if kind in ("right", "wrong"):
        logits[np.arange(images), truth] += 50.0 if kind == "right" else -50.0
    scores = np.full((images, classes), 1 / classes) if kind == "tied" else softmax(logits)
    if kind == "rounded":
        scores = np.round(scores * 8) / 8
        scores[:, 0] = 1 - scores[:, 1:].sum(axis=1)
        scores = np.clip(scores, 0, 1)
        scores /= scores.sum(axis=1, keepdims=True)
    most = draw(st.sampled_from([0, 1, 3, 8]))
    groups = ["" if most == 0 else f"g{number}" for number in rng.integers(0, max(most, 1), images)]
    return make_table(truth, scores, groups)


def expected(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """scikit-learn's values, NaN where a measure is 0/0; a column of `overall`, one per class."""
    names = [column[len("score_") :] for column in table.columns if column.startswith("score_")]
    truth, called = table["label"].tolist(), table["predicted"].tolist()
    scores = table[[f"score_{name}" for name in names]].to_numpy()
    values: dict[str, dict[str, float]] = {}
    keywords = {"zero_division": np.nan}
    for k, name in enumerate(names):
        is_class, is_called = np.array(truth) == name, np.array(called) == name
        both = 0 < is_class.sum() < len(truth)
        values[name] = {
            "precision": sk.precision_score(is_class, is_called, **keywords),
            "recall": sk.recall_score(is_class, is_called, **keywords),
            "specificity": sk.recall_score(~is_class, ~is_called, **keywords),
            "npv": sk.precision_score(~is_class, ~is_called, **keywords),
            "f1": sk.f1_score(is_class, is_called, **keywords),
            "roc_auc": sk.roc_auc_score(is_class, scores[:, k]) if both else math.nan,
            "average_precision": sk.average_precision_score(is_class, scores[:, k]) if is_class.any() else math.nan,
        }
    areas = [values[name]["roc_auc"] for name in names if math.isfinite(values[name]["roc_auc"])]
    varies = len(set(truth)) > 1 and len(set(called)) > 1
    values["overall"] = {
        "accuracy": sk.accuracy_score(truth, called),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, called),
        "macro_f1": sk.f1_score(truth, called, labels=names, average="macro", **keywords),
        "mcc": sk.matthews_corrcoef(truth, called) if varies else math.nan,
        "roc_auc": float(np.mean(areas)) if areas else math.nan,
        "log_loss": sk.log_loss(truth, scores, labels=names),
        "brier": sk.brier_score_loss(truth, scores, labels=names),
        "calibration_error": slow_calibration_error(table, scores),
    }
    return values


def slow_calibration_error(table: pd.DataFrame, scores: np.ndarray) -> float:
    total = 0.0
    confidence = scores.max(axis=1)
    right = (table["label"] == table["predicted"]).to_numpy()
    for number in range(10):
        inside = (confidence * 10 > number) & (confidence * 10 <= number + 1)
        if inside.any():
            total += inside.sum() / len(table) * abs(right[inside].mean() - confidence[inside].mean())
    return total


def evaluate(table: pd.DataFrame) -> Evaluation:
    names = [column[len("score_") :] for column in table.columns if column.startswith("score_")]
    return evaluate_predictions(table, names)


def every_metric(evaluation: Evaluation) -> list[tuple[str, str, Metric]]:
    inside = [(label, name, m) for label, row in evaluation.per_class.items() for name, m in row.items()]
    return inside + [("overall", name, metric) for name, metric in evaluation.overall.items()]
