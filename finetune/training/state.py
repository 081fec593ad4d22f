"""Where a training stands between two steps, and how that is kept on disk."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from finetune.checkpoint import Checkpoint
from finetune.training.selection import Kept

Row = tuple[int, int, float, float, float, float, float]
"""One epoch: the columns of history.csv."""
_KEPT = ("epoch", "least", "error", "ceiling")


@dataclass
class Position:
    """The next step: `epoch` from 1; `batches` of it are done, with these `losses` and this random state."""

    epoch: int = 1
    batches: int = 0
    losses: list[float] = field(default_factory=list)
    random: Tensor | None = None


@dataclass
class TrainingState:
    """All that changes during training but the model, its optimizer and its average."""

    position: Position = field(default_factory=Position)
    kept: Kept = field(default_factory=Kept)
    rows: list[Row] = field(default_factory=list)
    peak: float = -1.0
    """The best balanced accuracy on validation so far."""
    last_gain: int = 0
    has_begun: bool = False
    is_over: bool = False
    loss_scale: dict[str, float] = field(default_factory=dict)
    """State of the GradScaler; empty where the loss is not scaled."""
    proofs: list[dict[str, Any]] = field(default_factory=list)
    """One record a phase, kept for the caller."""


def pack(
    state: TrainingState,
    learned: Mapping[str, Tensor],
    average: Mapping[str, Tensor],
    optimizer: Mapping[str, Mapping[str, Tensor]],
) -> Checkpoint:
    """Everything as one checkpoint; of what is kept, no second copy of values that stand in it anyway."""
    present = {**learned, **average}
    twice = [name for name, tensor in state.kept.state.items() if torch.equal(tensor, present[name])]
    tensors = {f"model|{name}": tensor for name, tensor in learned.items()}
    tensors |= {f"kept|{name}": tensor for name, tensor in state.kept.state.items() if name not in twice}
    tensors |= {f"average|{name}": tensor for name, tensor in average.items()}
    tensors |= {f"optimizer|{key}|{name}": value for name, held in optimizer.items() for key, value in held.items()}
    if state.position.random is not None:
        tensors["random"] = state.position.random
    content = {
        "epoch": state.position.epoch,
        "batches": state.position.batches,
        "losses": state.position.losses,
        "kept": {name: _finite(getattr(state.kept, name)) for name in _KEPT},
        "kept_as_present": twice,
        "rows": [[_finite(value) for value in row] for row in state.rows],
        "peak": state.peak,
        "last_gain": state.last_gain,
        "has_begun": state.has_begun,
        "is_over": state.is_over,
        "loss_scale": state.loss_scale,
        "proofs": state.proofs,
    }
    return Checkpoint(tensors, content)


def unpack(
    checkpoint: Checkpoint,
) -> tuple[TrainingState, dict[str, Tensor], dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """The state, and the tensors of model, average and optimizer (parameter -> key -> tensor)."""
    content = checkpoint.state
    learned, average = _below("model", checkpoint.tensors), _below("average", checkpoint.tensors)
    present = {**learned, **average}
    kept = {name: present[name].clone() for name in content.get("kept_as_present", [])}
    state = TrainingState(
        position=Position(
            content["epoch"], content["batches"], list(content["losses"]), checkpoint.tensors.get("random")
        ),
        kept=_kept(content["kept"], kept | _below("kept", checkpoint.tensors)),
        rows=[_row(row) for row in content["rows"]],
        peak=content["peak"],
        last_gain=content["last_gain"],
        has_begun=content.get("has_begun", True),
        is_over=content["is_over"],
        loss_scale=content.get("loss_scale", {}),
        proofs=list(content["proofs"]),
    )
    optimizer: dict[str, dict[str, Tensor]] = {}
    for path, tensor in _below("optimizer", checkpoint.tensors).items():
        key, _, name = path.partition("|")
        optimizer.setdefault(name, {})[key] = tensor
    return state, learned, average, optimizer


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Tensor]]:
    """What the optimizer holds of each parameter, by the parameter's name."""
    return {
        name: {key: value for key, value in optimizer.state[held].items() if isinstance(value, Tensor)}
        for name, held in model.named_parameters()
        if held in optimizer.state
    }


def fill_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, held: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Give the optimizer what it held of the parameters that it still has; of the others nothing."""
    owned = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in model.named_parameters():
        if id(parameter) in owned and name in held:
            optimizer.state[parameter] = {key: _beside(parameter, value) for key, value in held[name].items()}


def _beside(parameter: nn.Parameter, value: Tensor) -> Tensor:
    """A copy of what an optimizer holds, on the device of `parameter` and laid out in memory as that is.

    A fused optimizer walks through both side by side without a look at strides, and a file knows no channels last.
    """
    if value.ndim == 0:  # a count of steps
        return value.clone().to(parameter.device)
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}|"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _finite(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


def _kept(held: dict[str, Any], state: dict[str, Tensor]) -> Kept:
    least, ceiling = (math.inf if held[name] is None else held[name] for name in ("least", "ceiling"))
    return Kept(held["epoch"], least, held["error"], ceiling, state)


def _row(held: list[Any]) -> Row:
    phase, epoch, *numbers = held
    rate, train_loss, val_loss, accuracy, seconds = (math.nan if value is None else value for value in numbers)
    return phase, epoch, rate, train_loss, val_loss, accuracy, seconds
