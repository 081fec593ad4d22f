"""The head that is solved before the first step, on real images and weights."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import finetune
from finetune.backbones import load_backbone
from finetune.features import StoredSource
from finetune.jobs.forecasting import forecast_run
from finetune.training import TailData
from finetune.training.head_first import choose_images, pool_views, solve_head
from finetune.training.probe import Probe
from recipes import Recipe, load_recipe


def changed(recipe: Recipe, **sections: dict[str, object]) -> Recipe:
    held = recipe.model_dump()
    return Recipe.model_validate({**held, **{name: {**held[name], **wish} for name, wish in sections.items()}})


class Shift(nn.Module):
    """Learns, and changes nothing at first."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(8))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + self.shift


def source(count: int, views: int = 1, shape: tuple[int, ...] = (8,)) -> StoredSource:
    drawn = np.random.default_rng(0).normal(size=(count, views, *shape)).astype(np.float32)
    targets = (drawn.reshape(count, views, -1)[:, 0, 0] > 0).astype(np.int64)
    return StoredSource([drawn], torch.from_numpy(targets), torch.device("cpu"))


def test_the_layer_that_gives_the_class_scores_is_given_the_solution() -> None:
    torch.manual_seed(0)
    tail = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 2))
    before = tail[0].weight.clone()
    data = TailData(source(60), None, 2)
    probe = solve_head(tail, tail, data, seed=0)
    assert isinstance(probe, Probe)
    assert torch.equal(tail[2].weight, torch.from_numpy(probe.weight))
    assert torch.equal(tail[0].weight, before)
    (features, targets) = next(data.train.batches(range(60), [0] * 60, 60))
    assert (tail(*features).argmax(1) == targets).float().mean() > 0.9


def test_features_come_in_order_of_images_and_views() -> None:
    tail = nn.Sequential(nn.Linear(8, 2))
    held = source(70, views=3)
    found = pool_views(tail, tail, held, np.array([0, 2, 69]), )  # fmt: skip
    assert not isinstance(found, str)
    np.testing.assert_array_equal(found[1], np.asarray(held.features[0])[[0, 2, 69]])


def test_views_are_pooled_in_the_arithmetic_of_training_views_and_come_out_wide() -> None:
    torch.manual_seed(0)
    tail = nn.Sequential(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))
    held, chosen = source(20, shape=(8, 6, 6)), np.arange(20)
    wide, narrow = (pool_views(tail, tail, held, chosen, arithmetic) for arithmetic in ("fp32", "bf16"))
    assert not isinstance(wide, str)
    assert not isinstance(narrow, str)
    assert wide[1].dtype == narrow[1].dtype == np.float32
    assert 0 < np.abs(wide[1] - narrow[1]).max() < 0.02


@pytest.mark.parametrize(
    "tail",
    [
        nn.Sequential(nn.Linear(8, 2), nn.Softplus()),
        nn.Sequential(nn.Unflatten(1, (8, 1, 1)), nn.Conv2d(8, 2, 1), nn.Flatten()),
        nn.Sequential(nn.Linear(8, 2).requires_grad_(False)),
        nn.Sequential(nn.Linear(8, 2, bias=False)),
    ],
)
def test_a_network_that_ends_otherwise_says_so_and_stays_as_it_is(tail: nn.Module) -> None:
    before = [parameter.clone() for parameter in tail.parameters()]
    reason = solve_head(tail, tail, TailData(source(40), None, 2), seed=0)
    assert reason == "its class scores do not come from one linear layer that learns"
    assert all(torch.equal(old, new) for old, new in zip(before, tail.parameters(), strict=True))


@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=5), limit=st.integers(5, 60), seed=st.integers(0, 9))
def test_a_choice_of_images_keeps_rare_classes_whole(counts: list[int], limit: int, seed: int) -> None:
    targets = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    chosen = choose_images(targets, limit, seed)
    assert len(chosen) == len(set(chosen.tolist())) == min(limit, len(targets))
    assert (np.diff(chosen) > 0).all()
    share = limit // len(counts)
    held = np.bincount(targets[chosen], minlength=len(counts))
    assert all(count >= min(whole, share) for count, whole in zip(held, counts, strict=True))


def test_candidate_zero_is_scikit_learns_probe_and_training_never_ends_below_it(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, store: Path
) -> None:
    hasty = changed(
        small_recipe, train={"learning_rate": 1.0, "epochs": 2}, head={"start": "solved"}
    )  # wrecks whatever it trains
    said: list[str] = []
    run = finetune.run(digits_folder, hasty, tmp_path / "run", say=said.append).folder
    history = pd.read_csv(run / "history.csv")
    assert history["epoch"].tolist() == [0, 1, 2]
    zero, later = history["val_balanced_accuracy"][0], history["val_balanced_accuracy"][1:]
    assert zero > 0.7 > later.max()
    predictions = pd.read_csv(run / "predictions.csv", dtype={"label": str, "predicted": str})
    val = predictions[predictions["split"] == "val"]
    recalls = (val["label"] == val["predicted"]).groupby(val["label"]).mean()
    assert recalls.mean() == pytest.approx(zero)
    assert sum("Head solved first" in sentence for sentence in said) == 1


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("wish", "epochs"), [("drawn", [1, 2]), ("auto", [1, 2]), ("solved", [0, 1, 2])])
def test_random_weights_start_with_a_random_head_unless_asked(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, wish: str, epochs: list[int]
) -> None:
    recipe = changed(small_recipe, model={"name": "test_resnet", "weights": "none"}, head={"start": wish})
    run = finetune.run(digits_folder, recipe, tmp_path / "run").folder
    assert pd.read_csv(run / "history.csv")["epoch"].tolist() == epochs


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("policy", "start", "epochs"),
    [
        ("first-three", "auto", [0, 1, 2]),
        ("head-only", "auto", [0]),
        ("head-only", "solved", [0, 1, 2]),
        ("head-only", "drawn", [1, 2]),
    ],
)
def test_on_pretrained_weights_the_head_is_solved_first_and_final_where_it_learns_alone(
    digits_folder: Path, small_recipe: Recipe, tmp_path: Path, policy: str, start: str, epochs: list[int]
) -> None:
    recipe, said = changed(small_recipe, freeze={"policy": policy}, head={"start": start}), list[str]()
    run = finetune.run(digits_folder, recipe, tmp_path / "run", say=said.append).folder
    assert pd.read_csv(run / "history.csv")["epoch"].tolist() == epochs
    assert any("no gradient steps follow" in sentence for sentence in said) == (epochs == [0])
    assert json.loads((run / "timings.json").read_text())["epochs"] == sum(epoch > 0 for epoch in epochs)
    _, forecast = forecast_run(digits_folder, recipe)
    assert forecast.epochs == (0 if epochs == [0] else 2)


def test_features_share_a_scale_where_more_than_the_head_learns() -> None:
    """A feature that hardly varies gets no large weight then; by itself it would be brought to unit variance."""
    held, largest = source(60), []
    held.features[0][:, :, 7] = 1e-3 * held.features[0][:, :, 0]
    for is_alone in (True, False):
        torch.manual_seed(0)
        tail = nn.Sequential(nn.Identity() if is_alone else Shift(), nn.Linear(8, 2))
        assert isinstance(solve_head(tail, tail, TailData(held, None, 2), seed=0), Probe)
        weight = tail[1].weight.detach().abs().amax(0)
        largest.append(float(weight[7] / weight[0]))
    assert largest[0] > 100
    assert largest[1] < 1


@pytest.mark.usefixtures("store")
def test_a_network_with_two_heads_trains_from_a_random_one_and_says_why(digits_folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    recipe = load_recipe(
        None,
        {
            "model.name": "deit_tiny_distilled_patch16_224",
            "model.weights": "none",
            "model.image_size": 32,
            "head.start": "solved",
            "train.epochs": 1,
            "data.workers": 0,
        },
    )
    finetune.run(digits_folder, recipe, tmp_path / "run", say=said.append)
    assert any(sentence.startswith("The head starts at random: its class scores do not") for sentence in said)


def test_the_embedded_network_ends_in_one_linear_layer() -> None:
    backbone = load_backbone("tf_efficientnet_lite0", "embedded", 3, image_size=64)
    images = source(4, shape=(3, 64, 64))
    backbone.model.eval()
    found = pool_views(backbone.model, backbone.model, images, np.arange(4))
    assert not isinstance(found, str)
    assert found[0] is backbone.model.get_classifier()
    assert found[1].shape == (4, 1, 1280)
