"""What bf16 brings on this CPU: the frozen stages and a step of the rest, by architecture.

python -m benchmarks.arithmetic --out docs/arithmetic.md

Random weights, noise for images: time does not depend on them. `first-three`, images of 224 pixels; trunk in
batches of 32 views, its norms folded as in a run; a step is forward, loss and backward of 8 images. The ways take
turns, and the median of the rounds counts.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from time import perf_counter

import click
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from data_tools.memory import keep_freed_memory
from finetune.features import BF16, computing_in, fold_norms
from finetune.features.arithmetic import multiplies_bf16
from finetune.features.images import TRUNK_BATCH
from finetune.freezing import freeze

MODELS = (
    *("resnet18", "resnet50", "densenet121", "regnety_008", "vit_small_patch16_224"),
    *("convnext_tiny", "tf_efficientnet_lite0", "efficientnet_b0", "mobilenetv3_large_100"),
)
BATCH, SIDE = 8, 224
CPU = torch.device("cpu")
Way = Callable[[nn.Module], AbstractContextManager[None]]
WAYS: dict[str, Way] = {
    "fp32": lambda _: nullcontext(),
    "autocast": lambda _: torch.autocast("cpu", torch.bfloat16),
    "ours": lambda module: computing_in(BF16, module, CPU),
}


@click.command()
@click.option("--model", "models", multiple=True, default=MODELS, help="Any timm model; may be repeated.")
@click.option("--rounds", type=click.IntRange(1), default=9, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="File for the page in Markdown.")
def main(models: tuple[str, ...], rounds: int, out: Path | None) -> None:
    """Print the page; one row an architecture."""
    keep_freed_memory()
    rows = [(name, *measure_model(name, rounds)) for name in models]
    page = compose_page(rows)
    click.echo(page, nl=False)
    if out is not None:
        out.write_text(page, encoding="utf-8")


def measure_model(name: str, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds a view of the trunk, and an image of a step, in each way."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3).to(memory_format=torch.channels_last)
    lock = freeze(model, "first-three")
    trunk, tail = lock.cut(torch.randn(2, 3, SIDE, SIDE))
    runner, images = fold_norms(trunk), _draw_images(TRUNK_BATCH)
    with torch.no_grad():
        features = tuple(_as_stored(feature) for feature in trunk(images[:BATCH]))
    targets = torch.arange(BATCH) % 3
    tail.train()

    def run_trunk(way: Way) -> None:
        with torch.inference_mode(), way(runner):
            runner(images)

    def step(way: Way) -> None:
        for parameter in lock.parameters():
            parameter.grad = None
        with way(tail):
            logits = tail(*features)
        functional.cross_entropy(logits.float(), targets).backward()

    return _in_turns(run_trunk, rounds, TRUNK_BATCH), _in_turns(step, rounds, BATCH)


def _draw_images(count: int) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)


def _as_stored(feature: Tensor) -> Tensor:
    return feature.contiguous(memory_format=torch.channels_last) if feature.ndim == 4 else feature


def _in_turns(work: Callable[[Way], None], rounds: int, images: int) -> dict[str, float]:
    """Milliseconds an image of each way; a first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(rounds + 1):
        for name, way in WAYS.items():
            started = perf_counter()
            work(way)
            if number:
                seconds[name].append(perf_counter() - started)
    return {name: 1000 * median(values) / images for name, values in seconds.items()}


def compose_page(rows: list[tuple[str, dict[str, float], dict[str, float]]]) -> str:
    """The page in Markdown."""
    lines = [
        "# bfloat16 on a CPU\n",
        "`train.precision: auto` computes training views in bf16 where the processor multiplies it natively (flags "
        "`avx512_bf16` or `amx_bf16` on Linux): the frozen stages once a view, and forward and backward of what "
        "learns. Weights, optimizer and averages stay in fp32, and so does every score of a validation or test image. "
        "torch's autocast takes depthwise convolutions along: the frozen stages gain by that, a step loses, so in a "
        "step they stay in fp32.\n",
        "What it does to accuracy is in [defaults.md](defaults.md), and what else there is in "
        "[training.md](training.md).\n",
        "    python -m benchmarks.arithmetic --out docs/arithmetic.md\n",
        f"This CPU {'multiplies' if multiplies_bf16() else 'does not multiply'} bf16 natively; "
        f"{torch.get_num_threads()} threads. Milliseconds a view (trunk) or an image (step), `first-three`, medians; "
        "in brackets how many times faster than fp32.\n",
        "| architecture | trunk fp32 | autocast | ours | step fp32 | autocast | ours |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, trunk, step in rows:
        cells = [cell for part in (trunk, step) for cell in _cells(part)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cells(milliseconds: dict[str, float]) -> list[str]:
    wide = milliseconds["fp32"]
    return [
        f"{wide:.2f}",
        *(f"{milliseconds[way]:.2f} ({wide / milliseconds[way]:.2f})" for way in ("autocast", "ours")),
    ]


if __name__ == "__main__":
    main()
