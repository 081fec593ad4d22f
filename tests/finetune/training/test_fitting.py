"""The loop over phases: what it keeps, when it ends, and what it says when it diverges."""

import numpy as np
import pytest
import torch
from torch import nn

import finetune
from finetune.checkpoint import Checkpoint
from finetune.errors import TailtuneError
from finetune.features import StoredSource
from finetune.freezing import Lock
from finetune.freezing.cutting import Cut
from finetune.training import TailData, TailFitter
from finetune.training.state import unpack
from recipes import Phase, TrainSettings


def source(count: int, value: float = 0.0, seed: int = 0) -> StoredSource:
    """Two classes, told apart by the sign of the first of eight numbers."""
    drawn = np.random.default_rng(seed).normal(size=(count, 1, 8)).astype(np.float32)
    drawn[:, 0, 0] += value
    return StoredSource([drawn], torch.from_numpy((drawn[:, 0, 0] > 0).astype(np.int64)), torch.device("cpu"))


def setting() -> tuple[nn.Sequential, Lock, Cut]:
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(5)), nn.Dropout(0.1), nn.Linear(8, 2))
    lock = finetune.freeze(model, ["0.*"])
    return model, lock, Cut(None, model, model, ((8,),), ("image",))


def fitter(model: nn.Module, lock: Lock, settings: TrainSettings, saved: list[Checkpoint]) -> TailFitter:
    stages = {name: "stage4" for name, _ in model.named_parameters()}
    return TailFitter(model, lock.plan, settings, 0, stages, save=saved.append)


def test_patience_ends_the_last_phase_and_the_latest_of_the_best_epochs_is_kept() -> None:
    model, lock, cut = setting()
    settings = TrainSettings(epochs=200, patience=3, learning_rate=0.01)
    saved: list[Checkpoint] = []
    run = fitter(model, lock, settings, saved)
    data = TailData(source(40), source(12, seed=1), 2)
    run.fit_phase(Phase(0, "custom", 1, 200, 0.01), cut, data, is_last=True)
    history = run.finish()
    assert len(history) < 200
    assert len(saved) == len(history)
    kept, loss = run.state.kept, history["val_loss"]
    assert kept.least == loss.min()
    assert loss[kept.epoch - 1] <= kept.least + kept.error
    assert not (loss[kept.epoch :] <= kept.least + kept.error).any()
    assert all(
        torch.equal(dict(model.named_parameters())[name], kept.state[name]) for name in lock.plan.trainable_parameters
    )
    lock.verify()


def test_an_earlier_phase_has_no_patience() -> None:
    model, lock, cut = setting()
    run = fitter(model, lock, TrainSettings(epochs=30, patience=1), [])
    run.fit_phase(Phase(0, "custom", 1, 30, 1e-9), cut, TailData(source(16), source(8, seed=1), 2), is_last=False)
    assert len(run.state.rows) == 30


def test_checkpoints_that_take_more_than_their_share_are_written_at_the_end_of_a_phase_alone() -> None:
    model, lock, cut = setting()
    saved: list[Checkpoint] = []
    stages = {name: "stage4" for name, _ in model.named_parameters()}
    run = TailFitter(model, lock.plan, TrainSettings(epochs=6), 0, stages, save=saved.append, save_share=1e-9)
    data = TailData(source(32), source(8, seed=1), 2)
    for first, last in ((1, 2), (3, 6)):
        run.fit_phase(Phase(0, "custom", first, last, 0.01), cut, data, is_last=last == 6)
    assert [checkpoint.state["epoch"] - 1 for checkpoint in saved] == [1, 2, 6]  # what the first takes is not known


def test_a_checkpoint_holds_what_is_kept_once() -> None:
    model, lock, cut = setting()
    for decay in (0.9, None):
        saved: list[Checkpoint] = []
        run = fitter(model, lock, TrainSettings(epochs=2, average_decay=decay), saved)
        run.fit_phase(Phase(0, "custom", 1, 2, 1e-4), cut, TailData(source(32), None, 2), is_last=True)
        assert run.state.kept.epoch == 2  # nothing to judge by: the last epoch is kept
        assert not [name for name in saved[-1].tensors if name.startswith("kept|")]
        kept = unpack(saved[-1])[0].kept.state
        assert kept.keys() == run.state.kept.state.keys()
        assert all(torch.equal(tensor, kept[name]) for name, tensor in run.state.kept.state.items())
    run.state.kept.state = {name: tensor + 1 for name, tensor in run.state.kept.state.items()}
    run.save()
    kept = unpack(saved[-1])[0].kept.state
    assert all(torch.equal(tensor, kept[name]) for name, tensor in run.state.kept.state.items())


def test_the_last_checkpoint_holds_no_moments_of_an_optimizer_that_will_not_step_again() -> None:
    model, lock, cut = setting()
    saved: list[Checkpoint] = []
    run = fitter(model, lock, TrainSettings(epochs=2), saved)
    run.fit_phase(Phase(0, "custom", 1, 2, 0.01), cut, TailData(source(32), source(8, seed=1), 2), is_last=True)
    held = [any(name.startswith("optimizer|") for name in checkpoint.tensors) for checkpoint in saved]
    assert held == [True, False]


def test_the_averaged_weights_are_judged_and_kept_and_the_raw_ones_go_on() -> None:
    model, lock, cut = setting()
    saved: list[Checkpoint] = []
    run = fitter(model, lock, TrainSettings(epochs=2, average_decay=0.9), saved)
    run.fit_phase(Phase(0, "custom", 1, 2, 0.05), cut, TailData(source(32), source(8, seed=1), 2), is_last=True)
    state, raw, averages, _ = unpack(saved[-1])
    name = "1.weight"
    assert torch.equal(dict(model.named_parameters())[name], raw[name])
    assert not torch.equal(raw[name], averages[name])
    if state.kept.epoch == 2:
        assert torch.equal(state.kept.state[name], averages[name])
    run.finish()
    assert torch.equal(dict(model.named_parameters())[name], state.kept.state[name])


def test_a_loss_that_is_no_number_names_step_rate_and_images() -> None:
    model, lock, cut = setting()
    bad = source(8)
    bad.features[0][5] = np.nan
    names = [f"ants/{number}.jpg" for number in range(8)]
    run = fitter(model, lock, TrainSettings(epochs=1, batch_size=4), [])
    with pytest.raises(TailtuneError, match=r"loss is nan at step \d \(epoch 1, learning rate .*ants/5\.jpg.*--lr"):
        run.fit_phase(Phase(0, "custom", 1, 1, 0.01), cut, TailData(bad, None, 2, names), is_last=True)


def test_clipping_bounds_a_step() -> None:
    moved = []
    for clip in (None, 1e-6):
        model, lock, cut = setting()
        before = model[6].weight.detach().clone()
        run = fitter(model, lock, TrainSettings(epochs=1, clip_norm=clip, weight_decay=0.0), [])
        run.optimizer = None
        run.fit_phase(Phase(0, "custom", 1, 1, 0.01), cut, TailData(source(8), None, 2), is_last=True)
        gradients = [held.grad for held in model.parameters() if held.grad is not None]
        moved.append(float(torch.linalg.vector_norm(torch.stack([gradient.norm() for gradient in gradients]))))
        assert not torch.equal(model[6].weight, before)
    assert moved[1] <= 1e-6 * 1.001 < moved[0]
