"""What mixed precision saves on a GPU: the guide's 30 to 50 %. Ready to run; not verified on our machine.

python -m benchmarks.residual_guide.amp --model resnet50 --batch-size 64
"""

from statistics import median

import click
import timm
import torch

from benchmarks.residual_guide.steps import require_gpus, time_steps

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_ROUNDS = 3


def median_steps(model: str, device: torch.device, batch: int, side: int, steps: int) -> dict[str, float]:
    """Median seconds of a step in each precision; the precisions take turns."""
    net = timm.create_model(model).to(device).to(memory_format=torch.channels_last)
    seconds: dict[str, list[float]] = {name: [] for name in PRECISIONS}
    for _ in range(_ROUNDS):
        for name, precision in PRECISIONS.items():
            seconds[name] += time_steps(net, device, batch, side, steps, precision)
    return {name: median(values) for name, values in seconds.items()}


@click.command()
@click.option("--model", default="resnet50", show_default=True, help="Any timm model.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option("--image-size", type=click.IntRange(32), default=224, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=30, show_default=True, help="In each of three rounds.")
def main(model: str, batch_size: int, image_size: int, steps: int) -> None:
    """Print milliseconds of a training step in each precision, and what it saves against fp32."""
    require_gpus(1)
    found = median_steps(model, torch.device("cuda"), batch_size, image_size, steps)
    for name, seconds in found.items():
        click.echo(f"{name}: {1000 * seconds:.1f} ms a step, {100 * (1 - seconds / found['fp32']):.0f} % saved")


if __name__ == "__main__":
    main()
