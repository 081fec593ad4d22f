"""The source of a run: chosen by the budget, told, kept in its recipe; and the type that features are stored in."""

from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st

import finetune
from finetune.errors import EnvironmentFault
from finetune.features import StoredSource, StoreIdentity
from finetune.freezing import frozen_digest
from finetune.jobs.planning import preview
from finetune.jobs.source_planning import plan_source
from finetune.jobs.sources import SourceMaker
from finetune.progress import untracked
from finetune.timing import Stopwatch
from recipes import Recipe, dump_recipe, load_recipe

IDENTITY = StoreIdentity(
    images=tuple((f"{number}.png", "digest") for number in range(10)),
    pipeline="",
    seed=0,
    views=3,
    backbone="resnet18",
    frozen_sha256="",
    is_folded=True,
    arithmetic="fp32",
    made_from="",
    cut=("layer3",),
    shapes=((5, 2, 2),),
    dtype="float16",
    batch_size=32,
    threads=1,
    device="cpu",
    versions=(),
)
ONE_VIEW = IDENTITY.size_bytes // 3


@given(views=st.integers(1, 8), budget=st.integers(0, 10 * ONE_VIEW))
def test_what_is_stored_fits_and_is_as_much_of_what_was_asked_for_as_fits(views: int, budget: int) -> None:
    recipe = load_recipe(None, {"augment.views": views})
    plan = plan_source(recipe, replace(IDENTITY, views=views), budget, 2)
    chosen = plan.recipe
    if chosen.cache.mode == "stored":
        assert chosen.augment.views * ONE_VIEW <= budget
        assert chosen.augment.views == min(views, budget // ONE_VIEW)
        assert chosen.augment.views == views or chosen.augment.views >= 2
    else:
        assert chosen.cache.mode == "fresh"
        assert chosen.augment.views == views
        assert budget < min(views, 2) * ONE_VIEW
    assert chosen == plan_source(recipe, replace(IDENTITY, views=views), budget, 0).recipe  # workers shape no byte


@pytest.mark.parametrize(
    ("overrides", "identity", "budget", "sentence"),
    [
        ({}, IDENTITY, 10**9, "Source: stored; 3 views of 10 training images take 0.00 GB in float16"),
        ({}, IDENTITY, 2 * ONE_VIEW, "2 views of 10 training images in place of 3, which do not fit take"),
        ({}, IDENTITY, ONE_VIEW, "Source: fresh; 3 views of 10 training images would take"),
        ({}, None, 10**9, "Source: whole; every step runs the network."),
        ({"cache.mode": "fresh"}, IDENTITY, 10**9, "Source: fresh, as the recipe says"),
    ],
)
def test_the_choice_is_told_with_its_reason(
    overrides: dict[str, object], identity: StoreIdentity | None, budget: int, sentence: str
) -> None:
    assert sentence in plan_source(load_recipe(None, overrides), identity, budget, 2).sentence


def test_a_run_keeps_its_source_when_the_budget_changes(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    """The recipe in the run's folder has the source filled in; a resumed run takes it from there."""
    scarce = small_recipe.model_copy(update={"cache": small_recipe.cache.model_copy(update={"budget_gb": 1e-9})})
    finetune.run(digits_folder, scarce, tmp_path / "run")
    assert load_recipe(str(tmp_path / "run" / "recipe.yaml")).cache.mode == "fresh"
    made, told = preview(digits_folder, small_recipe), list[str]()

    def settle(earlier: Path | None) -> str:
        maker = SourceMaker(made, small_recipe, Stopwatch(), track=untracked, say=told.append)
        return maker.settle(earlier).cache.mode

    assert settle(None) == "stored"
    assert settle(tmp_path / "run" / "recipe.yaml") == "fresh"
    assert told[-1].startswith("Source: fresh, as the recipe says")


@pytest.mark.usefixtures("store")
def test_a_phase_with_a_trunk_keeps_it_where_a_later_one_has_none(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path
) -> None:
    phases = [{"policy": "head-only", "first_epoch": 1}, {"policy": "full", "first_epoch": 2}]
    content = small_recipe.model_dump()
    content["freeze"] |= {"policy": "phases", "phases": phases}
    told: list[str] = []
    run = finetune.run(digits_folder, Recipe.model_validate(content), tmp_path / "run", say=told.append).folder
    assert any(sentence.startswith("Source: stored; ") for sentence in told)
    assert load_recipe(str(run / "recipe.yaml")).cache.mode == "stored"


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("dtype", ["auto", "fp16"])
def test_features_too_large_for_half_precision_are_stored_wider_unless_the_recipe_insists(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, dtype: str
) -> None:
    torch.manual_seed(0)
    state = timm.create_model("resnet18", num_classes=3).state_dict()
    state["layer3.1.bn2.weight"] = torch.full_like(state["layer3.1.bn2.weight"], 1e7)
    safetensors.torch.save_file(state, tmp_path / "large.safetensors")
    recipe = load_recipe(
        None,
        {
            "model.name": "resnet18",
            "model.weights": str(tmp_path / "large.safetensors"),
            "model.image_size": 32,
            "cache.dtype": dtype,
            "data.workers": 0,
        },
    )
    told: list[str] = []
    made = preview(digits_folder, recipe)
    maker = SourceMaker(made, recipe, Stopwatch(), track=untracked, say=told.append)
    maker.settle()
    digest = frozen_digest(made.backbone.model, made.plan)
    if dtype == "fp16":
        with pytest.raises(EnvironmentFault, match="too large for fp16"):
            maker.parts(("train",), made.cut, digest)
        return
    source = maker.parts(("train",), made.cut, digest)["train"]
    assert isinstance(source, StoredSource)
    assert source.features[0].dtype == "float32"
    assert "Features are too large for fp16: they are stored in fp32." in told
    again = SourceMaker(made, recipe, Stopwatch(), track=untracked, say=told.append)
    again.settle()
    again.parts(("train",), made.cut, digest)
    assert told[-1] == "Features of the train part were found in the store; no image was decoded for them."
    assert dump_recipe(again.recipe) == dump_recipe(maker.recipe)
