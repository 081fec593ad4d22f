"""`recipes.phases`: the policy of an epoch is a pure function of the recipe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes import RecipeError, dump_recipe, list_phases, load_recipe, phase_at


def user_phases(*starts: int) -> list[dict[str, object]]:
    policies = ["head-only", "first-three", ["stem", "layer1.*"]]
    return [{"policy": policies[index % 3], "first_epoch": first} for index, first in enumerate(starts)]


def test_one_policy_is_one_phase_over_all_epochs():
    (phase,) = list_phases(load_recipe("first-three"))
    assert (phase.number, phase.policy, phase.first_epoch, phase.last_epoch) == (0, "first-three", 1, 10)


def test_gradual_goes_from_the_head_down():
    phases = list_phases(load_recipe("gradual"))
    assert [phase.policy for phase in phases] == ["head-only", "first-three", "last-two-stages"]
    assert [(phase.first_epoch, phase.last_epoch) for phase in phases] == [(1, 2), (3, 6), (7, 10)]


@given(epochs=st.integers(3, 500))
def test_phases_follow_each_other_without_a_gap(epochs: int):
    phases = list_phases(load_recipe("gradual", {"train.epochs": epochs}))
    assert [phase.first_epoch for phase in phases] == [1] + [phase.last_epoch + 1 for phase in phases[:-1]]
    assert phases[-1].last_epoch == epochs
    assert all(phase.epochs > 0 for phase in phases)


@given(starts=st.lists(st.integers(2, 40), unique=True, max_size=5), epoch=st.integers(1, 40))
def test_every_epoch_has_the_phase_that_began_last(starts: list[int], epoch: int):
    given_starts = [1, *sorted(starts)]
    settings = {"freeze.policy": "phases", "freeze.phases": user_phases(*given_starts), "train.epochs": 40}
    recipe = load_recipe("first-three", settings)
    assert phase_at(recipe, epoch).first_epoch == max(start for start in given_starts if start <= epoch)
    assert phase_at(recipe, epoch) == phase_at(load_recipe("first-three", settings), epoch)


def test_a_phase_has_its_own_peak_learning_rate():
    phases = [{"policy": "head-only", "first_epoch": 1, "rate_factor": 10.0}, {"policy": "full", "first_epoch": 4}]
    recipe = load_recipe(None, {"freeze.policy": "phases", "freeze.phases": phases, "train.learning_rate": 1e-3})
    assert [phase.learning_rate for phase in list_phases(recipe)] == [1e-2, 1e-3]


def test_phases_survive_being_written_and_read(tmp_path):
    recipe = load_recipe(None, {"freeze.policy": "phases", "freeze.phases": user_phases(1, 3, 5)})
    (tmp_path / "mine.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "mine.yaml") == recipe


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"freeze.policy": "phases"}, "go together"),
        ({"freeze.phases": user_phases(1, 3)}, "go together"),
        ({"freeze.policy": "phases", "freeze.phases": user_phases(2, 3)}, "begin at first_epoch 1"),
        ({"freeze.policy": "phases", "freeze.phases": user_phases(1, 3, 3)}, "and rise"),
        ({"freeze.policy": "phases", "freeze.phases": user_phases(1, 30)}, "10 epochs end before the last phase"),
        ({"freeze.policy": "gradual", "train.epochs": 2}, "2 epochs end before the last phase"),
        (
            {"freeze.policy": "phases", "freeze.phases": [{"policy": "gradual", "first_epoch": 1}]},
            "several phases",
        ),
        (
            {"freeze.policy": "phases", "freeze.phases": [{"policy": "ful", "first_epoch": 1, "epoch": 2}]},
            "did you mean",
        ),
    ],
)
def test_phases_that_cannot_be_are_refused(settings, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe("first-three", settings)
