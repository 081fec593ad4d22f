"""The parts of a look at decisions, and how they hang together."""

import numpy as np
import pytest

from finetune.errors import InputError
from finetune.evaluation import TrainedFor, evaluate_decisions
from finetune.evaluation.calibrating import apply_temperature
from finetune.evaluation.costs import cheapest_answers, cost_matrix
from finetune.evaluation.prevalence import reweight
from recipes import EvaluateSettings
from tests.finetune.evaluation.chest_table import CHEST, make_chest

SCORES = [f"score_{label}" for label in CHEST]


def test_nothing_asked_for_is_nothing_but_calibration_and_groups() -> None:
    found = evaluate_decisions(make_chest(), CHEST, EvaluateSettings())
    assert (found.thresholds, found.costs, found.prevalence, found.subgroups, found.order) == (None,) * 5
    assert found.calibration.temperature.value is not None
    assert found.by_group.score == "mean"
    assert found.warnings == ()


def test_the_cheapest_answers_come_from_calibrated_and_reweighted_scores() -> None:
    table, cost = make_chest(1), {"PNEUMONIA": {"NORMAL": 20.0}}
    trained = TrainedFor(np.array([0.5, 0.5]), "told")
    plain = table[table["split"] == "test"][SCORES].to_numpy()
    for settings in (
        EvaluateSettings(cost=cost),
        EvaluateSettings(cost=cost, prevalence={"PNEUMONIA": 0.1}),
    ):
        found = evaluate_decisions(table, CHEST, settings, trained=trained)
        scores = apply_temperature(plain, found.calibration.temperature.value)
        if settings.prevalence:
            scores = reweight(scores, trained.shares, np.array([0.9, 0.1]))
        answers = cheapest_answers(scores, cost_matrix(cost, CHEST))
        assert found.costs.confusion_matrix.sum(axis=0).tolist() == np.bincount(answers, minlength=2).tolist()


def test_what_the_model_was_trained_for_is_the_word_of_the_recipe_then_of_the_run_then_of_validation() -> None:
    table, prevalence = make_chest(), {"PNEUMONIA": 0.1}
    known = TrainedFor(np.array([0.5, 0.5]), "told by the run")
    told = EvaluateSettings(prevalence=prevalence, trained_prevalence={"NORMAL": 0.3})
    assert evaluate_decisions(table, CHEST, told, trained=known).prevalence.trained_for.shares == pytest.approx(
        [0.3, 0.7]
    )
    settings = EvaluateSettings(prevalence=prevalence)
    assert evaluate_decisions(table, CHEST, settings, trained=known).prevalence.trained_for is known
    guessed = evaluate_decisions(table, CHEST, settings).prevalence.trained_for
    shares = [(table[table["split"] == "val"]["label"] == label).mean() for label in CHEST]
    assert guessed.shares == pytest.approx(shares)
    bare = evaluate_decisions(table[table["split"] == "test"], CHEST, settings).prevalence
    assert (bare.trained_for, bare.reweighted) == (None, None)
    assert bare.plain.accuracy.value is not None


def test_a_table_without_scores_gets_what_answers_alone_tell() -> None:
    settings = EvaluateSettings(
        target_sensitivity={"PNEUMONIA": 0.9},
        cost={"PNEUMONIA": {"NORMAL": 2.0}},
        prevalence={"PNEUMONIA": 0.1},
        subgroups=["site"],
    )
    found = evaluate_decisions(make_chest().drop(columns=SCORES), CHEST, settings)
    assert found.thresholds[0].reason == "the predictions hold no scores"
    assert found.costs.cheapest is None
    assert found.costs.plain.value > 0
    assert found.prevalence.reweighted is None
    assert found.by_group.score == "vote"
    assert len(found.subgroups["site"]) == 3


def test_scores_that_are_no_probabilities_make_thresholds_but_no_expected_costs() -> None:
    settings = EvaluateSettings(target_sensitivity={"PNEUMONIA": 0.9}, cost={"PNEUMONIA": {"NORMAL": 2.0}})
    logits = {name: np.log(make_chest()[name]) for name in SCORES}
    found = evaluate_decisions(make_chest().assign(**logits), CHEST, settings)
    plain = evaluate_decisions(make_chest(), CHEST, settings)
    assert found.thresholds[0].counts == plain.thresholds[0].counts
    assert found.costs.reason == "the scores are no probabilities"
    assert found.calibration.bins_before == ()


def test_warnings_of_every_part_are_gathered() -> None:
    table = make_chest(mixed=0.1)
    few = table[(table["split"] == "test") | (table["group"].isin([f"val-{number}" for number in range(5)]))]
    settings = EvaluateSettings(target_sensitivity={"PNEUMONIA": 0.9}, subgroups=["site"])
    told = " ".join(evaluate_decisions(few, CHEST, settings).warnings)
    assert all(word in told for word in ("it is a guess", "several labels", "Subgroups by 'site'"))


def test_an_unknown_class_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(InputError, match="did you mean 'PNEUMONIA'"):
        evaluate_decisions(make_chest(), CHEST, EvaluateSettings(cost={"PNEUMONA": {"NORMAL": 2.0}}))
