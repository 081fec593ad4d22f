"""What a recipe says of classes, held against the classes there are."""

import numpy as np
import pytest

from finetune.errors import InputError
from finetune.evaluation import check_classes_named
from finetune.evaluation.naming import complete_shares
from recipes import EvaluateSettings

LABELS = ("NORMAL", "PNEUMONIA", "TB")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target_sensitivity": {"PNEUMONA": 0.9}}, "evaluate.target_sensitivity: 'PNEUMONA' is none of the 3 classes"),
        ({"target_specificity": {"normal": 0.9}}, "did you mean 'NORMAL'?"),
        ({"cost": {"TBC": {"TB": 1.0}}}, "evaluate.cost: 'TBC' is none of the 3 classes; did you mean 'TB'?"),
        ({"cost": {"TB": {"NORML": 1.0}}}, "evaluate.cost.TB: 'NORML' is none of the 3 classes"),
        ({"order": ["NORMAL", "TB"]}, "evaluate.order: must name every class; 'PNEUMONIA' missing"),
        ({"prevalence": {"TB": 0.1}}, "name all classes but one at most, which gets the rest; 'NORMAL', 'PNEUMONIA'"),
        ({"prevalence": {"TB": 0.1, "NORMAL": 0.1, "PNEUMONIA": 0.1}}, "must add up to 1, here 0.3"),
        ({"trained_prevalence": {"TB": 0.1}}, "evaluate.trained_prevalence: name all classes"),
        ({"subgroups": ["calibrated_TB"]}, "the column 'calibrated_TB' is that of calibrated scores of 'TB'"),
        ({"ordered": True}, "evaluate.ordered: the names of the classes do not tell their order"),
    ],
)
def test_what_does_not_fit_the_classes_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_classes_named(EvaluateSettings(**settings), LABELS)
    assert said in str(caught.value)


def test_every_fault_is_told_at_once() -> None:
    settings = EvaluateSettings(target_sensitivity={"a": 0.9}, prevalence={"b": 0.5, "TB": 0.5})
    with pytest.raises(InputError) as caught:
        check_classes_named(settings, LABELS)
    assert str(caught.value).count("is none of the 3 classes") == 2


def test_what_fits_is_let_through() -> None:
    check_classes_named(EvaluateSettings(), LABELS)
    check_classes_named(
        EvaluateSettings(prevalence={"TB": 0.1, "NORMAL": 0.8}, cost={"TB": {"NORMAL": 5.0}}, order=list(LABELS[::-1])),
        LABELS,
    )


def test_a_class_without_a_share_gets_the_rest() -> None:
    assert complete_shares({"TB": 0.1, "NORMAL": 0.7}, LABELS) == pytest.approx([0.7, 0.2, 0.1])
    assert complete_shares({"TB": 0.333, "NORMAL": 0.333, "PNEUMONIA": 0.333}, LABELS) == pytest.approx(
        np.full(3, 1 / 3)
    )
