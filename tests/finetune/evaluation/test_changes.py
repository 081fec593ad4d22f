"""The change of every metric from one set of images to another."""

import pandas as pd

from finetune.evaluation import Evaluation, evaluate_predictions, find_changes
from finetune.evaluation.changes import OVER_CLASSES


def evaluated(rows: list[tuple[str, str]]) -> Evaluation:
    table = pd.DataFrame(rows, columns=["label", "predicted"]).assign(path=lambda t: t.index.astype(str), split="test")
    scores = {f"score_{one}": (table["predicted"] == one) * 0.8 + 0.1 for one in ("a", "b", "c")}
    return evaluate_predictions(table.assign(**scores), ("a", "b", "c"))


OWN = [("a", "a")] * 9 + [("a", "b")] + [("b", "b")] * 10 + [("c", "c")] * 8 + [("c", "a")] * 2
HERE = [("a", "a")] * 5 + [("a", "c")] * 5 + [("b", "b")] * 10 + [("c", "c")] * 10


def test_every_metric_is_compared_and_signed_as_here_minus_own() -> None:
    own, here = evaluated(OWN), evaluated(HERE)
    changes = find_changes(own, here)
    assert [one.metric for one in changes if one.label is None] == list(own.overall)
    assert len(changes) == len(own.overall) + 3 * len(own.per_class["a"])
    recall = next(one for one in changes if (one.metric, one.label) == ("recall", "a"))
    assert recall.difference.value == 0.5 - 0.9
    assert recall.difference.low is not None
    assert recall.difference.low < -0.4 < (recall.difference.high or 1) < 0.1
    record = recall.record
    assert (record["own"], record["here"], record["difference"]) == (0.9, 0.5, 0.5 - 0.9)
    assert record["own_low"] == own.per_class["a"]["recall"].low


def test_means_over_other_classes_are_not_compared() -> None:
    fewer = evaluated([row for row in HERE if row[0] != "c"])
    changes = {one.metric: one for one in find_changes(evaluated(OWN), fewer) if one.label is None}
    for name in OVER_CLASSES:
        assert changes[name].difference.value is None
        assert "'c'" in (changes[name].difference.reason or "")
        assert changes[name].here.value is not None
    assert changes["accuracy"].difference.value is not None
    of_c = next(one for one in find_changes(evaluated(OWN), fewer) if (one.metric, one.label) == ("recall", "c"))
    assert of_c.difference.value is None
    assert of_c.difference.reason == "no image is of this class"


def test_a_set_against_itself_has_not_changed() -> None:
    for change in find_changes(evaluated(OWN), evaluated(OWN)):
        if change.difference.value is not None:
            assert change.difference.value == 0
