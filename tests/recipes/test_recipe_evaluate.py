"""The evaluate section: what it takes, and key paths that lead into its mappings."""

import pytest

from recipes import EvaluateSettings, Recipe, RecipeError, dump_recipe, load_recipe, parse_setting


def settings_of(*texts: str) -> EvaluateSettings:
    return load_recipe(None, dict(parse_setting(text) for text in texts)).evaluate


def fault_of(*texts: str) -> str:
    with pytest.raises(RecipeError) as caught:
        settings_of(*texts)
    return str(caught.value)


def test_a_key_path_leads_into_a_mapping_by_the_name_of_a_class():
    found = settings_of("evaluate.target_sensitivity.PNEUMONIA=0.95", "evaluate.target_specificity.grade 1.5=0.9")
    assert found.target_sensitivity == {"PNEUMONIA": 0.95}
    assert found.target_specificity == {"grade 1.5": 0.9}


def test_a_key_path_leads_into_a_mapping_of_mappings():
    found = settings_of("evaluate.cost.ill.healthy=10", "evaluate.cost.ill.ill=1", "evaluate.cost.healthy={ill: 2}")
    assert found.cost == {"ill": {"healthy": 10.0, "ill": 1.0}, "healthy": {"ill": 2.0}}


def test_a_key_path_adds_to_what_the_file_says(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("evaluate: {prevalence: {ill: 0.1, healthy: 0.8}}\ntrain: {stage_factors: {stage3: 0.2}}\n")
    recipe = load_recipe(file, {"evaluate.prevalence.healthy": 0.9, "train.stage_factors.stage4": 0.5})
    assert recipe.evaluate.prevalence == {"ill": 0.1, "healthy": 0.9}
    assert recipe.train.stage_factors == {"stage3": 0.2, "stage4": 0.5}


def test_a_recipe_with_decisions_is_written_and_read_back(tmp_path):
    evaluate = {
        "target_sensitivity": {"a": 0.9},
        "cost": {"a": {"b": 2.5}},
        "prevalence": {"a": 0.2, "b": 0.8},
        "subgroups": ["site"],
        "order": ["b", "a"],
    }
    recipe = Recipe(evaluate=evaluate)
    (tmp_path / "r.yaml").write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "r.yaml") == recipe


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("evaluate.target_sensitivity.a=1.5", "evaluate.target_sensitivity.a: must be 1 or less, got 1.5"),
        ("evaluate.target_sensitivity.a=0", "evaluate.target_sensitivity.a: must be more than 0, got 0"),
        ("evaluate.cost.a.b=-1", "evaluate.cost.a.b: must be 0 or more, got -1"),
        ("evaluate.cost.a=1", "evaluate.cost.a: must be a mapping, such as {old: new}, got 1"),
        ("evaluate.prevalence={a: 0.9, b: 0.5}", "evaluate: the shares of prevalence add up to 1.4"),
        ("evaluate.target_sensitivty.a=0.9", "unknown key; did you mean 'target_sensitivity'?"),
        ("evaluate.group_score=median", "evaluate.group_score: must be mean or max or vote, got 'median'"),
        ("evaluate.subgroups=[site, site]", "evaluate.subgroups: names 'site' twice"),
        ("evaluate.subgroups=[label]", "'label' is a column of predictions.csv itself"),
        ("evaluate.order=[a]", "evaluate.order: needs two grades or more"),
        ("evaluate.order=[a, b, a]", "evaluate.order: names 'a' twice"),
    ],
)
def test_what_no_report_can_follow_is_refused(text, said):
    assert said in fault_of(text)
