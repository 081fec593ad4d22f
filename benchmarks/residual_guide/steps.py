"""Seconds of training steps on noise, which need no data: on one device, or on several."""

from time import perf_counter

import click
import torch
from torch import nn
from torch.nn.functional import cross_entropy

_UNCOUNTED = 3
_CLASSES = 1000


def require_gpus(count: int) -> None:
    """Raise click.ClickException where fewer CUDA devices are here."""
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found < count:
        raise click.ClickException(
            f"CUDA devices needed: {count}; here: {found}. Run the same command on a machine that has them"
        )


def time_steps(
    net: nn.Module, device: torch.device, batch: int, side: int, steps: int, precision: torch.dtype = torch.float32
) -> list[float]:
    """Seconds of each of `steps` steps (forward, loss, backward, SGD) on one batch; the first three are not counted.

    Other than in float32 under autocast; in float16 with gradient scaling.
    """
    images = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    targets = torch.randint(_CLASSES, (batch,), device=device)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
    seconds = []
    net.train()
    for number in range(_UNCOUNTED + steps):
        _wait_for(device)
        started = perf_counter()
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            loss = cross_entropy(net(images), targets)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        _wait_for(device)
        if number >= _UNCOUNTED:
            seconds.append(perf_counter() - started)
    return seconds


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
