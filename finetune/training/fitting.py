"""One loop that trains the tail, whatever its features come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from finetune.errors import TailtuneError
from finetune.features import FeatureSource
from finetune.freezing import Cut
from finetune.progress import Track, untracked
from finetune.training.optimizer import class_weights, make_optimizer
from finetune.training.predicting import predict_logits
from finetune.training.schedule import learning_rate_at
from recipes import TrainSettings

HISTORY_COLUMNS = (
    "phase",
    "epoch",
    "learning_rate",
    "train_loss",
    "val_loss",
    "val_balanced_accuracy",
    "seconds",
)


@dataclass(frozen=True)
class TailData:
    """What the tail learns from and is chosen by; `val` may be absent, `head` names the new modules."""

    train: FeatureSource
    val: FeatureSource | None
    classes: int
    head: tuple[str, ...] = ()


@dataclass(frozen=True)
class FittedTail:
    """The history, one row an epoch, and the epoch whose weights the model now holds."""

    history: pd.DataFrame
    best_epoch: int


@dataclass
class _Best:
    """The best epoch so far, by (balanced accuracy, -loss) on the validation images."""

    epoch: int = 0
    rank: tuple[float, float] = (-1.0, 0.0)
    state: dict[str, Tensor] = field(default_factory=dict)


def fit_tail(
    model: nn.Module,
    cut: Cut,
    data: TailData,
    settings: TrainSettings,
    seed: int,
    *,
    track: Track = untracked,
) -> FittedTail:
    """Train what `model` leaves unlocked, in place, and keep the best epoch on validation.

    Training ends early when neither balanced accuracy nor loss on validation has become better
    for `patience` epochs.

    Order, dropout and views are functions of (seed, epoch). The global random state is left as it was.

    Raises TailtuneError when the loss stops being finite, naming the step and learning rate.
    """
    optimizer = make_optimizer(model, settings.weight_decay, data.head, settings.head_factor)
    weights = class_weights(data.train.targets, data.classes) if settings.class_balance == "loss" else None
    best, rows = _Best(), []
    least_loss, last_gain = float("inf"), 0
    for epoch in track(range(1, settings.epochs + 1), "tail", settings.epochs):
        started = perf_counter()
        rate, train_loss = _train_epoch(cut.train_tail, data.train, optimizer, weights, settings, seed, epoch)
        val_loss, val_accuracy = _validate(cut.eval_tail, data)
        rows.append((0, epoch, rate, train_loss, val_loss, val_accuracy, perf_counter() - started))
        rank = (val_accuracy, -val_loss) if data.val else (float(epoch), 0.0)
        if rank > best.rank:
            best, last_gain = _Best(epoch, rank, _learned_state(model)), epoch
        if val_loss < least_loss:
            least_loss, last_gain = val_loss, epoch
        if data.val and settings.patience is not None and epoch - last_gain >= settings.patience:
            break
    _restore(model, best.state)
    return FittedTail(pd.DataFrame(rows, columns=list(HISTORY_COLUMNS)), best.epoch)


def _train_epoch(
    tail: nn.Module,
    source: FeatureSource,
    optimizer: torch.optim.Optimizer,
    weights: Tensor | None,
    settings: TrainSettings,
    seed: int,
    epoch: int,
) -> tuple[float, float]:
    count, size = len(source.targets), settings.batch_size
    order = np.random.default_rng([seed, 0, epoch]).permutation(count).tolist()
    if count > size and count % size == 1:
        order.pop()  # a batch of one has no batch statistics
    steps = -(-len(order) // size)
    first_step, total = (epoch - 1) * steps, settings.epochs * steps
    warmup = int(settings.warmup_epochs * steps)
    losses, rate = [], 0.0
    tail.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(hash((seed, 0, epoch)) % 2**63)
        for step, (features, targets) in enumerate(source.batches(order, [epoch - 1] * len(order), size), first_step):
            rate = learning_rate_at(step, total, warmup, settings.learning_rate)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            loss = functional.cross_entropy(
                tail(*features), targets, weight=weights, label_smoothing=settings.label_smoothing
            )
            if not torch.isfinite(loss):
                raise TailtuneError(
                    f"The loss is {float(loss.detach())} at step {step} (epoch {epoch}, learning rate {rate:.2g}); "
                    f"try --lr {settings.learning_rate / 10:.0e}."
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()) * len(targets))
    tail.eval()
    return rate, sum(losses) / len(order)


def _validate(tail: nn.Module, data: TailData) -> tuple[float, float]:
    """Log loss and balanced accuracy over the validation images; NaN without any."""
    if data.val is None:
        return float("nan"), float("nan")
    logits, targets = predict_logits(tail, data.val), data.val.targets
    loss = float(functional.cross_entropy(logits.double(), targets))
    hits = (logits.argmax(1) == targets).double()
    recalls = [float(hits[targets == target].mean()) for target in targets.unique()]
    return loss, float(np.mean(recalls))


def _learned_state(model: nn.Module) -> dict[str, Tensor]:
    """Copies of all that training may have moved: trainable parameters, and buffers."""
    learned = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    return {name: tensor.detach().clone() for name, tensor in {**learned, **dict(model.named_buffers())}.items()}


@torch.no_grad()
def _restore(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    everything = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, tensor in state.items():
        everything[name].copy_(tensor)
