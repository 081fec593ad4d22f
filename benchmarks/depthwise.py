"""What gradients in tiles save of a step: depthwise 5 x 5 layers, and the whole tail of Lite0, by images in a batch.

    python -m benchmarks.depthwise

Medians of steps that alternate between torch's own routine and ours; ratios go to docs/arithmetic.md by hand.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from statistics import median
from time import perf_counter
from typing import Any

import click
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from finetune.features import computing_in
from finetune.features.arithmetic import BF16
from finetune.training.depthwise import FastDepthwise

SHAPES = {"7 x 7, 1152 channels": (1152, 7), "14 x 14, 480 channels": (480, 14), "28 x 28, 240 channels": (240, 28)}
BATCHES = (4, 8, 16)
WAYS: dict[str, Callable[[], AbstractContextManager[object]]] = {"torch": nullcontext, "tiles": FastDepthwise}


@click.command()
@click.option("--repeats", type=int, default=15, show_default=True)
def command(repeats: int) -> None:
    """Measure, and print a table."""
    print("| images | " + " | ".join([*SHAPES, "step of Lite0's stage4 and head"]) + " |")
    print("|---" * (len(SHAPES) + 2) + "|")
    for images in BATCHES:
        layers = [_compare(*_layer(*shape, images), repeats) for shape in SHAPES.values()]
        print(f"| {images} | " + " | ".join([*layers, _compare(*_tail(images), repeats)]) + " |", flush=True)


def _layer(channels: int, size: int, images: int) -> tuple[nn.Module, Tensor]:
    layer = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False)
    seen = torch.randn(images, channels, size, size, requires_grad=True)
    return layer.to(memory_format=torch.channels_last), seen.to(memory_format=torch.channels_last)


def _tail(images: int) -> tuple[nn.Module, Tensor]:
    """The part that `first-three` leaves to learn."""
    model: Any = timm.create_model("tf_efficientnet_lite0", num_classes=2)
    tail = nn.Sequential(*model.blocks[5:], model.conv_head, model.bn2, model.global_pool, model.classifier)
    seen = torch.randn(images, 112, 14, 14)
    return tail.eval().to(memory_format=torch.channels_last), seen.to(memory_format=torch.channels_last)


def _compare(module: nn.Module, seen: Tensor, repeats: int) -> str:
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(repeats + 2):
        for way, entered in WAYS.items():
            taken = _step(module, seen, entered)
            if turn >= 2:
                seconds[way].append(taken)
    torchs, tiles = (1000 * median(seconds[way]) for way in WAYS)
    return f"{torchs:.1f} to {tiles:.1f} ms ({torchs / tiles:.2f})"


def _step(module: nn.Module, seen: Tensor, entered: Callable[[], AbstractContextManager[object]]) -> float:
    started = perf_counter()
    module.zero_grad()
    with entered(), computing_in(BF16, module, seen.device):
        made = module(seen)
    functional.mse_loss(made.float(), torch.zeros_like(made, dtype=torch.float32)).backward()
    return perf_counter() - started


if __name__ == "__main__":
    command()
