"""Which candidate to take: the cheapest that the images cannot tell from the best."""

import numpy as np
import pandas as pd
import pytest

from finetune.reporting.comparison import Compared, judge_candidates

LABELS = ("a", "b")


def candidate(name: str, wrong: int, parameters: int, images: int = 200) -> Compared:
    """Answers of which the first `wrong` of each class are wrong."""
    truth = np.tile([0, 1], images // 2)
    answers = np.where(np.arange(images) < 2 * wrong, 1 - truth, truth)
    scores = np.where(answers == 1, 0.8, 0.2)
    table = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(images)],
            "label": np.array(LABELS)[truth],
            "group": "",
            "split": "test",
            "predicted": np.array(LABELS)[answers],
            "score_a": 1 - scores,
            "score_b": scores,
        }
    )
    return Compared(name, table, parameters, 0.0, 1.0)


def test_the_cheapest_of_those_that_cannot_be_told_apart_is_taken() -> None:
    verdict = judge_candidates(
        [candidate("full", 4, 9000), candidate("head", 5, 100), candidate("bad", 40, 10)], LABELS, 0.95
    )
    assert verdict.taken == "head"
    assert "it trains the fewest parameters (100 against 9,000)" in verdict.sentence
    assert "cannot tell it from full" in verdict.sentence
    full, head, bad = verdict.judged
    assert full.gap is None
    assert not head.is_told_apart
    assert bad.is_told_apart
    assert bad.gap is not None
    assert bad.gap.value == pytest.approx(0.36)


def test_a_clear_best_is_taken_whatever_it_costs() -> None:
    verdict = judge_candidates([candidate("full", 2, 9000), candidate("head", 30, 100)], LABELS, 0.95)
    assert verdict.taken == "full"
    assert "more than chance explains" in verdict.sentence


def test_the_best_that_is_cheapest_too_says_what_it_cannot_be_told_from() -> None:
    verdict = judge_candidates([candidate("full", 5, 9000), candidate("head", 4, 100)], LABELS, 0.95)
    assert verdict.taken == "head"
    assert "cannot tell it from full, but it trains fewer parameters" in verdict.sentence
