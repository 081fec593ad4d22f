"""The predictions table, read back whole or refused by line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finetune.errors import InputError
from finetune.evaluation import labels_of, normalise_predictions, read_predictions
from finetune.files import write_csv

HEADER = "path,label,group,split,predicted,score_a,score_b\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "predictions.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    "name", ["NA", "nan", "=1+1", "a,b", 'say "x"', "two\nlines", "<script>", "score_", "1", " x "]
)
def test_a_class_may_have_any_name(tmp_path: Path, name: str) -> None:
    table = pd.DataFrame({"path": ["x"], "label": [name], "predicted": [name], f"score_{name}": [1.0]})
    write_csv(tmp_path / "p.csv", table)
    read = read_predictions(tmp_path / "p.csv")
    assert labels_of(read) == (name,)
    assert read["label"].tolist() == [name]


def test_scores_come_back_to_the_last_bit_also_from_float32(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).random(200).astype(np.float32)
    for column in (scores, scores.astype(np.float64) / 3):
        table = pd.DataFrame(
            {"path": "x", "label": "a", "predicted": "a", "group": "", "split": "test", "score_a": column}
        )
        write_csv(tmp_path / "p.csv", table)
        assert (
            read_predictions(tmp_path / "p.csv")["score_a"].tolist() == normalise_predictions(table)["score_a"].tolist()
        )


def test_group_and_split_may_be_missing(tmp_path: Path) -> None:
    read = read_predictions(write(tmp_path, "path,label,predicted\nx,a,b\n"))
    assert read[["group", "split"]].to_numpy().tolist() == [["", "test"]]
    assert labels_of(read) == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'path'"),
        ("path,label\nx,a\n", "no column 'predicted'"),
        ("path,label,predicted,label\n", "'label' stands twice"),
        (HEADER, "no rows"),
        (HEADER + "x,a,,test,a,0.5\n", "line 2: 6 cells, the header has 7"),
        (HEADER + "x,a,,test,a,0.5,0.5\ny,a,,test,a,high,0.5\n", "line 3, column 'score_a': 'high' is not"),
        (HEADER + "x,a,,test,a,nan,0.5\n", "line 2, column 'score_a': 'nan' is not"),
        (HEADER + "x,,,test,a,0.5,0.5\n", "line 2, column 'label': empty"),
    ],
)
def test_a_broken_table_is_refused_naming_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_predictions(write(tmp_path, text))


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = HEADER + "x,,,test,a,0.5,0.5\ny,a,,test,a,0.5,x\n"
    with pytest.raises(InputError, match="line 2.*\n.*line 3"):
        read_predictions(write(tmp_path, text))


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_predictions(tmp_path / "none.csv")
