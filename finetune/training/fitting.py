"""One loop that trains the tail, phase after phase, whatever its features come from."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from signal import SIGTERM
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from finetune.checkpoint import Checkpoint, SavePace
from finetune.errors import TailtuneError
from finetune.features import FP16, computing_in, widened
from finetune.freezing import Cut, FreezePlan
from finetune.interrupts import StopRequest
from finetune.progress import Track, untracked
from finetune.ranks import ALONE, Ranks
from finetune.training.averaging import WeightAverage
from finetune.training.head_first import Probe, solve_head
from finetune.training.optimizer import class_weights, make_optimizer, with_head_factor
from finetune.training.schedule import epoch_rate_at, learning_rate_at
from finetune.training.selection import Judgement, validate
from finetune.training.state import Position, TrainingState, fill_optimizer, optimizer_tensors, pack, unpack
from finetune.training.tail_data import TailData
from recipes import Phase, TrainSettings

HISTORY_COLUMNS = (
    "phase",
    "epoch",
    "learning_rate",
    "train_loss",
    "val_loss",
    "val_balanced_accuracy",
    "seconds",
)


class TailFitter:
    """Trains in place what a model leaves unlocked, over one or more phases, and keeps one epoch's weights.

    `plan` is what stays frozen throughout, each phase may freeze more; `stages` has the stage of
    each parameter. Order, dropout and views are functions of (seed, phase, epoch); the global
    random state is left as it was. `save` receives a checkpoint after every epoch, or as many of them
    as `save_share` of the time allows, after the last of a phase, and when `stop` asks for an end in the
    middle of one. Several `ranks` take the steps of one process: each sees its share of every batch. In fp16 the loss
    is scaled, a step whose gradients overflow is left out, and the next one is scaled by half as much.

    Source: Micikevicius et al. 2018, Mixed Precision Training.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: FreezePlan,
        settings: TrainSettings,
        seed: int,
        stages: Mapping[str, str],
        *,
        save: Callable[[Checkpoint], None] | None = None,
        save_share: float = math.inf,
        stop: StopRequest | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.model, self.plan, self.settings, self.seed, self.stages = model, plan, settings, seed, stages
        self._save, self._pace, self.stop = save, SavePace(save_share), stop or StopRequest()
        device = next(model.parameters()).device.type
        self.scaler = torch.amp.GradScaler(device, enabled=settings.precision == FP16)
        self.state = TrainingState()
        self.optimizer: torch.optim.Optimizer | None = None
        self.average: WeightAverage | None = None
        self._held: dict[str, dict[str, Tensor]] = {}
        self._averages: dict[str, Tensor] = {}

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on where `checkpoint` was saved; the model is changed at once."""
        self.state, learned, self._averages, self._held = unpack(checkpoint)
        if self.state.loss_scale:
            self.scaler.load_state_dict(self.state.loss_scale)
        self._fill(learned)

    def begin(self, phase: Phase, cut: Cut, data: TailData, *, with_solved_head: bool) -> Probe | str | None:
        """Before the first step: solve the new head, and let the network as it then stands be candidate zero.

        What was solved, or why nothing was; None where it is not wanted or has been done.
        """
        if self.state.has_begun:
            return None
        self.state.has_begun = True
        if not with_solved_head:
            return None
        started = perf_counter()
        probe = solve_head(self.model, cut.eval_tail, data, self.seed, self.settings.precision)
        if isinstance(probe, Probe):
            judged = self._judge(cut.eval_tail, data, epoch=0)
            row = (phase.number, 0, 0.0, math.nan, judged.loss, judged.accuracy, perf_counter() - started)
            self.state.rows.append(row)
            self.save()
        return probe

    @property
    def is_solved(self) -> bool:
        """Whether the head was solved before the first step: epoch 0 of the history."""
        return any(epoch == 0 for _, epoch, *_ in self.state.rows)

    def end(self) -> None:
        """Take no further steps."""
        self.state.is_over = True

    def fit_phase(self, phase: Phase, cut: Cut, data: TailData, *, is_last: bool, track: Track = untracked) -> None:
        """Train from the present epoch to the end of `phase`; the model is locked and cut for it.

        The last phase ends early when neither balanced accuracy nor loss on validation has become
        better for `patience` epochs.

        Raises TailtuneError when the loss stops being finite, naming the step and learning rate,
        Interrupted when asked to stop, with the position saved.
        """
        self._begin_phase(data)
        train_tail = self.ranks.share(cut.train_tail)
        epochs = range(max(phase.first_epoch, self.state.position.epoch), phase.last_epoch + 1)
        for epoch in track(epochs, "tail" if is_last else f"tail, phase {phase.number}", len(epochs)):
            started = perf_counter()
            rate, train_loss = self._train_epoch(train_tail, data, phase, epoch)
            judged = self._judge(cut.eval_tail, data, epoch)
            seconds = perf_counter() - started
            row = (phase.number, epoch, rate, train_loss, judged.loss, judged.accuracy, seconds)
            self.state.rows.append(row)
            self.state.position = Position(epoch + 1)
            self.state.is_over = is_last and (epoch == phase.last_epoch or self._has_stalled(phase, epoch, data))
            if self.state.is_over or epoch == phase.last_epoch or self._pace.is_due():
                self.save()
            if self.state.is_over:
                break

    def finish(self) -> pd.DataFrame:
        """Give the model the weights that were kept; the history, one row an epoch, from 0 if a head was solved."""
        self._fill(self.state.kept.state)
        return pd.DataFrame(self.state.rows, columns=list(HISTORY_COLUMNS))

    def save(self) -> None:
        """Hand the present state to `save`; without the optimizer's, where no step will follow."""
        if self._save is None:
            return
        with self._pace.measured():
            self.state.loss_scale = self.scaler.state_dict()
            optimizer = {} if self.state.is_over else self._present_optimizer()
            self._save(pack(self.state, self._learned(), self._present_averages(), optimizer))

    def _begin_phase(self, data: TailData) -> None:
        """An optimizer of exactly what learns now; what it held of parameters that go on learning is kept."""
        held, settings = self._present_optimizer(), with_head_factor(self.settings, is_solved=self.is_solved)
        self.optimizer = make_optimizer(self.model, self.stages, settings)
        fill_optimizer(self.model, self.optimizer, held)
        if settings.average_decay is not None:
            self.average = WeightAverage(self.model, settings.average_decay, self._present_averages())
        self._class_weights: Tensor | None = None
        if settings.class_balance == "loss":
            weights = class_weights(data.train.targets, data.classes)
            self._class_weights = weights.to(next(self.model.parameters()))

    def _present_optimizer(self) -> dict[str, dict[str, Tensor]]:
        return optimizer_tensors(self.model, self.optimizer) if self.optimizer else self._held

    def _present_averages(self) -> dict[str, Tensor]:
        return self.average.values if self.average else self._averages

    def _train_epoch(self, tail: nn.Module, data: TailData, phase: Phase, epoch: int) -> tuple[float, float]:
        size, position, source = self.settings.batch_size, self.state.position, data.train
        order = self._order(len(source.targets), phase, epoch)
        steps = -(-len(order) // size)
        batches = [order[start : start + size] for start in range(position.batches * size, len(order), size)]
        own = [place for batch in batches for place in self._own(batch)]
        tail.train()
        with torch.random.fork_rng(devices=[]):
            if position.random is None:
                torch.manual_seed(hash((self.seed, phase.number, epoch)) % 2**63)
            else:
                torch.set_rng_state(position.random)
            rate = 0.0
            made = source.batches(own, [epoch] * len(own), size // self.ranks.count)
            for batch, (features, targets) in zip(batches, made, strict=True):
                step = (epoch - phase.first_epoch) * steps + position.batches
                rate = self._rate(step, steps, phase)
                loss = self._step(tail, features, targets, rate, step, source.targets[batch])
                if not math.isfinite(loss):
                    raise self._diverged(loss, f"step {step} (epoch {epoch}", rate, data, batch)
                position.losses.append(loss * len(batch))
                position.batches += 1
                if self._shall_stop() and position.batches < steps:
                    position.random = torch.get_rng_state()
                    self.save()
                    self.stop.check()
        tail.eval()
        return rate, sum(position.losses) / len(order)

    def _shall_stop(self) -> bool:
        """Whether this process, or another one of the training, is asked to."""
        if self.ranks.count == 1:
            return self.stop.signal is not None
        if not any(self.ranks.sum([float(self.stop.signal is not None)])):
            return False
        self.stop.signal = self.stop.signal or SIGTERM
        return True

    def _own(self, batch: list[int]) -> Sequence[int]:
        """The places of a batch that fall to this process; where none does, one that will not count."""
        return self.ranks.own(batch) or batch[:1]

    def _order(self, count: int, phase: Phase, epoch: int) -> list[int]:
        order: list[int] = np.random.default_rng([self.seed, phase.number, epoch]).permutation(count).tolist()
        if count > self.settings.batch_size and count % self.settings.batch_size == 1:
            order.pop()  # a batch of one has no batch statistics
        return order

    def _rate(self, step: int, steps: int, phase: Phase) -> float:
        peak, warmup = phase.learning_rate, self.settings.warmup_epochs
        if self.settings.anneal == "epoch":
            return epoch_rate_at(step // steps, phase.epochs, int(warmup), peak)
        return learning_rate_at(step, phase.epochs * steps, int(warmup * steps), peak)

    def _diverged(self, loss: float, where: str, rate: float, data: TailData, batch: list[int]) -> TailtuneError:
        images = f", images {', '.join(data.names[index] for index in batch)}" if data.names else ""
        return TailtuneError(
            f"The loss is {loss} at {where}, learning rate {rate:.2g}{images}); the last checkpoint is kept. "
            f"Try --lr {self.settings.learning_rate / 10:.0e}."
        )

    def _step(
        self, tail: nn.Module, features: tuple[Tensor, ...], targets: Tensor, rate: float, number: int, whole: Tensor
    ) -> float:
        """Gradient step `number` of the phase; its loss. No step where that is not finite, or in fp16 a gradient.

        `whole` are the targets of the batch of all processes.
        """
        optimizer = self.optimizer
        assert optimizer is not None
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        with computing_in(self.settings.precision, tail, targets.device):
            logits = tail(*features)
        loss = self._loss(widened(logits), targets, whole)
        mean = self.ranks.sum([float(loss.detach()) / self.ranks.count])[0]
        if not math.isfinite(mean):
            return mean
        optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimizer)
        if self.settings.clip_norm is not None:
            learning = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(learning, self.settings.clip_norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(number)
        return mean

    def _loss(self, logits: Tensor, targets: Tensor, whole: Tensor) -> Tensor:
        """The mean loss over a batch; of several processes, each has what becomes that when averaged over them."""
        weight, smoothing = self._class_weights, self.settings.label_smoothing
        if self.ranks.count == 1:
            return functional.cross_entropy(logits, targets, weight=weight, label_smoothing=smoothing)
        losses = functional.cross_entropy(logits, targets, weight=weight, label_smoothing=smoothing, reduction="none")
        counted = losses[: len(self.ranks.own(range(len(whole))))]
        total = len(whole) if weight is None else weight[whole].sum()
        return counted.sum() * self.ranks.count / total

    def _judge(self, tail: nn.Module, data: TailData, epoch: int) -> Judgement:
        """The judgement of an epoch; its weights, the average where there is one, are kept if it is to be kept."""
        state = self.state
        lent: AbstractContextManager[None] = nullcontext()
        if self.average is not None and data.val is not None:
            lent = self.average.applied()
        with lent:
            judged = validate(tail, data.val, self.ranks)
        if judged.loss < state.kept.least or judged.accuracy > state.peak:
            state.last_gain = epoch
        if state.kept.judge(epoch, judged):
            state.kept.epoch, state.kept.state = epoch, self._learned(self._present_averages())
        state.peak = max(state.peak, judged.accuracy)
        return judged

    def _has_stalled(self, phase: Phase, epoch: int, data: TailData) -> bool:
        since = epoch - max(self.state.last_gain, phase.first_epoch - 1)
        return data.val is not None and self.settings.patience is not None and since >= self.settings.patience

    def _learned(self, instead: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Copies of all that training may have moved, what learns in any phase and the buffers; or `instead` of it."""
        learned = {name: held for name, held in self.model.named_parameters() if name in self.plan.trainable_parameters}
        given = {**learned, **dict(self.model.named_buffers()), **(instead or {})}
        return {name: held.detach().clone() for name, held in given.items()}

    @torch.no_grad()
    def _fill(self, state: Mapping[str, Tensor]) -> None:
        everything = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        for name, tensor in state.items():
            everything[name].copy_(tensor)
