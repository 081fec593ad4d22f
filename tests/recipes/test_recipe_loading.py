"""`recipes.loading`: names, files, settings on top, and every fault at once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recipes import Recipe, RecipeError, dump_recipe, load_recipe, parse_setting


def fault_of(source: str | Path | None = None, overrides: dict[str, object] | None = None) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(source, overrides)
    return str(caught.value)


@pytest.fixture
def write(tmp_path):
    def _write(text: str) -> Path:
        file = tmp_path / "mine.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return _write


def test_no_source_means_first_three():
    assert load_recipe() == load_recipe("first-three")
    assert load_recipe().freeze.policy == "first-three"


def test_a_file_says_only_what_differs(write):
    recipe = load_recipe(write("train:\n  epochs: 3\n"))
    assert recipe == Recipe(train={"epochs": 3})
    assert recipe.train.batch_size == 8


def test_a_section_whose_keys_are_commented_out_is_a_section_of_defaults(write):
    assert load_recipe(write("train:\n  # epochs: 3\nseed: 1\n")) == Recipe(seed=1)


def test_a_path_object_is_always_a_file(tmp_path):
    assert "no such file" in fault_of(tmp_path / "full")


def test_every_fault_is_told_at_once_with_its_key_path(write):
    file = write("freeze: {policy: first-tree}\ntrain: {epochs: 0, batch_size: five}\naugmnt: {}\nseed: -1\n")
    assert fault_of(file) == (
        f"{file} has 5 faults\n"
        "  seed: must be 0 or more, got -1\n"
        "  freeze.policy: 'first-tree' is not a policy; did you mean 'first-three'?\n"
        "  train.epochs: must be 1 or more, got 0\n"
        "  train.batch_size: must be a whole number, got 'five'\n"
        "  augmnt: unknown key; did you mean 'augment'?"
    )


def test_one_fault_is_one_line(write):
    file = write("train: {epochs: 0}")
    assert fault_of(file) == f"{file}: train.epochs: must be 1 or more, got 0"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("train: {epoch: 3}", "'epochs'"),
        ("freeze: {polcy: full}", "'policy'"),
        ("epochs: 3", "'train.epochs'"),
        ("train: {views: 3}", "'augment.views'"),
        ("modle: {name: resnet18}", "'model'"),
        ("Train: {epochs: 3}", "'train'"),
    ],
)
def test_an_unknown_key_names_the_nearest(write, text, meant):
    assert f"unknown key; did you mean {meant}?" in fault_of(write(text))


def test_an_unknown_key_like_no_other_lists_what_is_known(write):
    assert "head.zzz: unknown key; known here: kind, start, dropout" in fault_of(write("head: {zzz: 1}"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: {epochs: true}", "train.epochs: must be a whole number, got true"),
        ("train: {epochs: 2.5}", "train.epochs: must be a whole number, got 2.5"),
        ("train: {learning_rate: -0.1}", "train.learning_rate: must be more than 0, got -0.1"),
        ("train: {learning_rate: .nan}", "train.learning_rate: must be a finite number, got nan"),
        ("train: {learning_rate: .inf}", "train.learning_rate: must be a finite number, got inf"),
        ("train: {learning_rate: '1e-3'}", "train.learning_rate: must be a number, got '1e-3'"),
        ("train: {label_smoothing: 1}", "train.label_smoothing: must be less than 1, got 1"),
        ("data: {resplit: no}", "data.resplit: must be true or false, got 'no'"),
        ("data: {group: 2026-01-01}", "data.group: must be text, got 2026-01-01 (date); put it in quotes"),
        ("data: {allow: [01]}", "data.allow[0]: must be text, got 1; put it in quotes"),
        ("data: {allow: group_leakage}", "data.allow: must be a list, got 'group_leakage'"),
        ("data: {test_fraction: 0.6, val_fraction: 0.4}", "must leave a part to train on, got 0.6 + 0.4"),
        ("model: resnet18", "model: must be a section of keys, got 'resnet18'"),
        ("model: {name: ''}", "model.name: must not be empty"),
        ('model: {name: "res\\0net"}', "model.name: must be one line of printable text, got 'res\\x00net'"),
        ("model: {image_size: 8}", "model.image_size: must be 16 or more, got 8"),
        ("augment: {preset: lite}", "got 'lite'; did you mean 'light'?"),
        ("augment: {views: 65}", "augment.views: must be 64 or less, got 65"),
        ("seed: 1" + "0" * 400, "seed: must be 4294967295 or less, got a number past 64 bits"),
        ("1: 2", "a key must be text"),
        ("data: {metadata: [1, 2]}", "data.metadata: must be text, got a list of 2"),
        (
            "train: {anneal: epoch, warmup_epochs: 0.5}",
            "warmup_epochs must be a whole number with `anneal: epoch`, got 0.5",
        ),
        ("{train: {precision: fp64}, cache: {dtype: fp16}}", "must be auto with `train.precision: fp64`, got 'fp16'"),
        ("train: {optimizer: adam}", "got 'adam'; did you mean 'adamw'?"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_seen(write, text, said):
    message = fault_of(write(text))
    assert said in message
    assert "\n" not in message


def test_a_quoted_date_is_text(write):
    assert load_recipe(write("data: {group: '2026-01-01'}")).data.group == "2026-01-01"


def test_settings_win_over_the_file_key_by_key(write):
    file = write("train: {epochs: 3, batch_size: 8}\nfreeze: {policy: full}")
    recipe = load_recipe(file, {"train.epochs": 7, "seed": 5, "evaluate.confidence": 0.9})
    assert (recipe.train.epochs, recipe.train.batch_size, recipe.freeze.policy) == (7, 8, "full")
    assert (recipe.seed, recipe.evaluate.confidence) == (5, 0.9)


def test_a_setting_mends_a_fault_of_the_file(write):
    assert load_recipe(write("train: {epochs: 0}"), {"train.epochs": 1}).train.epochs == 1


def test_a_setting_leaves_a_shared_yaml_section_alone(write):
    recipe = load_recipe(write("head: &shared {dropout: 0.5}\nfreeze: {}\n"), {"head.dropout": 0.1})
    assert recipe.head.dropout == 0.1


def test_a_fault_of_a_setting_is_not_blamed_on_the_file(write):
    file = write("seed: -1")
    assert fault_of(None, {"train.epochs": 0}) == "settings: train.epochs: must be 1 or more, got 0"
    assert fault_of(None, {"data.test_fraction": 0.5, "data.val_fraction": 0.5}).startswith("settings: data: ")
    assert fault_of(file, {"train.epochs": 0}) == (
        f"{file} has 2 faults\n  seed: must be 0 or more, got -1\n  train.epochs (a setting): must be 1 or more, got 0"
    )


@pytest.mark.parametrize(
    ("key_map", "said"),
    [
        ("{0.: conv1.}", "model.key_map: a key must be text, got 0.0; put it in quotes"),
        ("{a.: 1}", "model.key_map.a.: must be text, got 1; put it in quotes"),
        ("[a.]", "model.key_map: must be a mapping, such as {old: new}, got a list of 1"),
    ],
)
def test_a_key_map_that_is_no_mapping_of_text_is_refused(key_map, said):
    assert fault_of(None, {"model.weights": "w.pth", **dict([parse_setting(f"model.key_map={key_map}")])}) == (
        f"settings: {said}"
    )


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "stage_factors={stage5: 1}",
            "stage_factors: 'stage5' is not a stage (stem, stage1, stage2, stage3, stage4, head); "
            "did you mean 'stage4'?",
        ),
        ("stage_factors={stage4: -1}", "stage_factors.stage4: must be 0 or more, got -1"),
        ("stage_factors={stage4: fast}", "stage_factors.stage4: must be a number, got 'fast'"),
        ("layer_decay=0", "layer_decay: must be more than 0, got 0"),
        ("layer_decay=1.1", "layer_decay: must be 1 or less, got 1.1"),
        ("decay_norm=no", "decay_norm: must be true or false, got 'no'"),
    ],
)
def test_a_factor_that_no_optimizer_takes_is_refused(setting, said):
    assert fault_of(None, dict([parse_setting(f"train.{setting}")])) == f"settings: train.{said}"


def test_a_key_map_without_a_weights_file_is_refused():
    said = "settings: model: key_map renames the keys of a weights file, but weights is 'pretrained'"
    assert fault_of(None, {"model.key_map": {"a.": "b."}}) == said


@pytest.mark.parametrize("path", ["train", "x.y", "seed.x", "train.epochs.x", "trian.epochs"])
def test_a_setting_that_leads_nowhere_is_refused(path):
    assert fault_of(None, {path: 1}).startswith(f"settings: {path}: ")


def test_the_overrides_of_the_caller_stay_as_they_are():
    overrides = {"train.epochs": 3, "data.allow": ["group_leakage"]}
    load_recipe(None, overrides)
    assert overrides == {"train.epochs": 3, "data.allow": ["group_leakage"]}


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("train.epochs=5", "train.epochs", 5),
        ("train.learning_rate=1e-3", "train.learning_rate", 0.001),
        ("augment.preset=no", "augment.preset", "no"),
        ("data.group=", "data.group", None),
        ("data.strict=true", "data.strict", True),
        ("freeze.policy=[stem, stage1]", "freeze.policy", ["stem", "stage1"]),
        ("freeze.policy=*.bn*", "freeze.policy", "*.bn*"),
        (
            'model.key_map={"backbone.0.": "conv1.", "trunk.": ""}',
            "model.key_map",
            {"backbone.0.": "conv1.", "trunk.": ""},
        ),
        ("model.weights=a=b.pth", "model.weights", "a=b.pth"),
        (" train.epochs = 5 ", "train.epochs", 5),
    ],
)
def test_a_setting_is_read_as_yaml_1_2(text, key, value):
    assert parse_setting(text) == (key, value)


@pytest.mark.parametrize(
    "text", ["train.epochs", "=5", "a=!!python/name:os.system", "a=[1", "a=b: c: d", "a=2026-13-01"]
)
def test_a_setting_that_cannot_be_read_is_refused(text):
    with pytest.raises(RecipeError):
        parse_setting(text)


def test_an_unknown_recipe_names_the_nearest():
    assert fault_of("first-tree") == "'first-tree' is neither a shipped recipe nor a file; did you mean 'first-three'?"
    assert "shipped recipes: first-three, full" in fault_of("zzz")
    assert fault_of("zzz.yaml").startswith("zzz.yaml: no such file")


@pytest.mark.parametrize("source", ["folder", "a\0b"])
def test_a_source_that_is_no_file_is_refused(tmp_path, source):
    assert "cannot be read" in fault_of(str(tmp_path / source) if "\0" in source else tmp_path)


def test_a_recipe_cannot_be_changed():
    recipe = load_recipe()
    with pytest.raises(ValidationError):
        recipe.seed = 3
    with pytest.raises(ValidationError):
        recipe.train.epochs = 3


def test_a_dumped_recipe_reads_back_as_itself(tmp_path):
    settings = {
        "train.learning_rate": 1e-7,
        "train.patience": None,
        "train.stage_factors": {"stage4": 0.5, "stem": 0},
        "model.weights": "w.pth",
        "model.key_map": {"backbone.0.": "conv1.", "é: ": ""},
        "freeze.policy": ["stem", "*.bn?.*"],
        "data.group": r"^(\w+): no #é 🐝",
        "cache.budget_gb": 0.5,
        "seed": 2**32 - 1,
    }
    recipe = load_recipe("full", settings)
    file = tmp_path / "recipe.yaml"
    file.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(file) == recipe
    assert dump_recipe(load_recipe(file)) == dump_recipe(recipe)


def test_a_dump_leaves_out_where_the_run_computes():
    here = load_recipe(None, {"data.workers": 2, "train.device": "cpu"})
    assert dump_recipe(here) == dump_recipe(load_recipe())
    assert "workers" not in dump_recipe(here)
    assert "device" not in dump_recipe(here)


def test_a_dump_has_every_section_in_the_order_of_the_schema():
    lines = dump_recipe(load_recipe()).splitlines()
    found = [line.partition(":")[0] for line in lines if line and not line.startswith(" ")]
    assert found == list(Recipe.model_fields)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dumped")


@given(text=st.text(min_size=1, max_size=30), rate=st.floats(min_value=0, max_value=10, exclude_min=True))
def test_any_text_either_survives_a_dump_or_is_refused(folder, text, rate):
    try:
        recipe = load_recipe(None, {"data.group": text, "train.learning_rate": rate})
    except RecipeError:
        return
    file = folder / "recipe.yaml"
    file.write_text(dump_recipe(recipe), encoding="utf-8", newline="\n")
    assert load_recipe(file) == recipe
