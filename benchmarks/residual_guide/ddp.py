"""DistributedDataParallel against DataParallel on several GPUs. Ready to run; not verified on our machine.

python -m benchmarks.residual_guide.ddp --model resnet50 --batch-size 128
"""

import json
import tempfile
from pathlib import Path
from statistics import median

import click
import timm
import torch
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.residual_guide.steps import require_gpus, time_steps


def time_processes(model: str, kind: str, processes: int, batch: int, side: int, steps: int) -> float:
    """Median seconds of a step with a process a device of `kind`, each with its share of the batch."""
    with tempfile.TemporaryDirectory() as name:
        arguments = (Path(name), model, kind, processes, batch, side, steps)
        multiprocessing.spawn(_run_rank, arguments, nprocs=processes)
        seconds: list[float] = json.loads((Path(name) / "seconds.json").read_text())
    return median(seconds)


def _run_rank(
    rank: int, folder: Path, model: str, kind: str, processes: int, batch: int, side: int, steps: int
) -> None:
    device = torch.device(kind, rank) if kind == "cuda" else torch.device(kind)
    backend = "nccl" if kind == "cuda" else "gloo"
    distributed.init_process_group(backend, init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=processes)
    try:
        net = timm.create_model(model).to(device)
        parallel = DistributedDataParallel(net, device_ids=[rank] if kind == "cuda" else None)
        seconds = time_steps(parallel, device, batch // processes, side, steps)
        if rank == 0:
            (folder / "seconds.json").write_text(json.dumps(seconds))
    finally:
        distributed.destroy_process_group()


def time_threads(model: str, batch: int, side: int, steps: int) -> float:
    """Median seconds of a step with one process and a thread a GPU."""
    net = nn.DataParallel(timm.create_model(model).to("cuda"))
    return median(time_steps(net, torch.device("cuda"), batch, side, steps))


@click.command()
@click.option("--model", default="resnet50", show_default=True, help="Any timm model.")
@click.option("--batch-size", type=click.IntRange(1), default=128, show_default=True, help="Over all GPUs.")
@click.option("--image-size", type=click.IntRange(32), default=224, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=30, show_default=True)
def main(model: str, batch_size: int, image_size: int, steps: int) -> None:
    """Print images per second of both, over all GPUs here."""
    require_gpus(2)
    count = torch.cuda.device_count()
    threads = time_threads(model, batch_size, image_size, steps)
    processes = time_processes(model, "cuda", count, batch_size, image_size, steps)
    click.echo(f"DataParallel, {count} GPUs: {batch_size / threads:.0f} images/s")
    click.echo(
        f"DistributedDataParallel: {count * (batch_size // count) / processes:.0f} images/s, "
        f"{threads / processes:.2f} times as fast a step"
    )


if __name__ == "__main__":
    main()
