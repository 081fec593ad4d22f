"""Which images a page shows, and how much room they may take."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.reporting import ReportContext
from finetune.reporting.answers import list_answers
from finetune.reporting.galleries import _share_out, images_behind, most_uncertain, worst_mistakes

LABELS = ("a", "b", "c")


def answers(*rows: tuple[str, str, tuple[float, float, float]]) -> pd.DataFrame:
    columns = {"path": [f"{place}.png" for place in range(len(rows))]}
    columns |= {"label": [row[0] for row in rows], "predicted": [row[1] for row in rows]}
    scores = {f"score_{label}": [row[2][k] for row in rows] for k, label in enumerate(LABELS)}
    return list_answers(pd.DataFrame(columns | scores), LABELS)


def test_the_surest_mistake_and_the_narrowest_answer_come_first() -> None:
    table = answers(
        ("a", "a", (0.9, 0.1, 0.0)),
        ("a", "b", (0.3, 0.6, 0.1)),
        ("c", "b", (0.0, 0.8, 0.2)),
        ("b", "b", (0.31, 0.35, 0.34)),
    )
    mistakes = worst_mistakes(table, ReportContext())
    assert [(one["path"], one["score"], one["true_score"]) for one in mistakes] == [
        ("2.png", 0.8, 0.2),
        ("1.png", 0.6, 0.3),
    ]
    first = most_uncertain(table, ReportContext())[0]
    assert [first[name] for name in ("path", "first", "first_score", "second", "second_score")] == [
        *("3.png", "b", 0.35, "c", 0.34)
    ]


def test_without_scores_mistakes_are_known_and_doubt_is_not() -> None:
    table = pd.DataFrame({"path": ["x", "y"], "label": ["a", "b"], "predicted": ["b", "b"]})
    told = list_answers(table, ("a", "b"))
    assert [(one["path"], one["score"], one["true_score"]) for one in worst_mistakes(told, ReportContext())] == [
        ("x", None, None)
    ]
    assert most_uncertain(told, ReportContext()) == []
    (cell,) = images_behind([("a", "b")], told, ReportContext())
    assert cell == {"label": "a", "answer": "b", "count": 1, "images": [["x", None, None]]}


def test_a_cell_lists_its_surest_mistakes_and_its_least_sure_right_answers_first() -> None:
    rows = [("a", answer, (share, 1 - share, 0.0)) for answer in "ab" for share in (0.2, 0.7, 0.4)]
    cells = images_behind([(x, y) for x in LABELS for y in LABELS], answers(*rows), ReportContext())
    told = {(cell["label"], cell["answer"]): [score for _, score, _ in cell["images"]] for cell in cells}
    assert {cell: np.round(scores, 6).tolist() for cell, scores in told.items()} == {
        ("a", "a"): [0.2, 0.4, 0.7],
        ("a", "b"): [0.8, 0.6, 0.3],
    }


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(1, 30), st.integers(0, 300))
def test_room_is_shared_out_evenly_and_never_exceeded(counts: list[int], most: int, in_all: int) -> None:
    taken = _share_out(counts, most, in_all)
    assert sum(taken) <= in_all
    assert all(0 <= one <= min(count, most) for one, count in zip(taken, counts, strict=True))
    if sum(min(count, most) for count in counts) <= in_all:
        assert taken == [min(count, most) for count in counts]
    elif len(counts) <= in_all:
        share = max(taken)
        assert taken == [min(count, share) for count in counts]
        assert sum(min(count, share + 1) for count in counts) > in_all


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "a/../../b.png"])
def test_no_picture_or_heat_map_is_read_from_outside_the_folder_of_images(path: str) -> None:
    def refuse(*asked: str) -> None:
        raise AssertionError(asked)

    context = ReportContext(image_root="x", small_picture=refuse, explain=refuse)  # type: ignore[arg-type]
    table = pd.DataFrame({"path": [path], "label": ["a"], "predicted": ["b"]})
    (mistake,) = worst_mistakes(list_answers(table, ("a", "b")), context)
    assert (mistake["thumbnail"], mistake["overlay"]) == (None, None)
