"""Stopped between two steps and resumed from a file, training ends in the same bits, whatever the optimizer holds."""

import signal
from pathlib import Path

import pytest
import torch

from finetune.checkpoint import Checkpoint, CheckpointFolder
from finetune.features import FP16
from finetune.interrupts import Interrupted, StopRequest
from finetune.training import TailFitter
from recipes import TrainSettings
from tests.finetune.training.tails import Tail, make_tail


class StopAfter(StopRequest):
    """Someone who asks for an end after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @property
    def signal(self) -> int | None:
        self.left -= 1
        return int(signal.SIGTERM) if self.left <= 0 else None


def begin(tail: Tail, settings: TrainSettings, **further: object) -> TailFitter:
    """A fitter whose first steps overflow in fp16, and whose scale grows after every second good one."""
    fitter = tail.fitter(settings, **further)
    if settings.precision == FP16:
        fitter.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**36, growth_interval=2)
    return fitter


@pytest.mark.parametrize(("optimizer", "precision"), [("adamw", "fp32"), ("sgd", "fp32"), ("sgd", "fp16")])
def test_stopped_within_an_epoch_and_resumed_it_ends_in_the_same_bits(
    tmp_path: Path, optimizer: str, precision: str
) -> None:
    size = {"epochs": 2, "batch_size": 5, "patience": None, "average_decay": None}
    rates = {"learning_rate": 0.001, "clip_norm": 1.0, "anneal": "epoch"}
    settings = TrainSettings.model_validate({"optimizer": optimizer, "precision": precision, **size, **rates})

    whole = make_tail()
    fitter = begin(whole, settings)
    whole.fit(fitter)

    folder, saved = CheckpointFolder(tmp_path), list[Checkpoint]()
    stopped = make_tail()
    with pytest.raises(Interrupted):
        stopped.fit(begin(stopped, settings, save=saved.append, stop=StopAfter(8)))
    assert (saved[-1].state["epoch"], saved[-1].state["batches"]) == (2, 2)
    folder.save(1, saved[-1])

    resumed = make_tail()
    checkpoint, _ = folder.load()
    assert checkpoint is not None
    again = resumed.fitter(settings)
    again.resume(checkpoint)
    resumed.fit(again)

    found, expected = (tail.backbone.model.state_dict() for tail in (resumed, whole))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert again.scaler.state_dict() == fitter.scaler.state_dict()
    for name, held in again._present_optimizer().items():
        assert all(torch.equal(value, fitter._present_optimizer()[name][key]) for key, value in held.items()), name
