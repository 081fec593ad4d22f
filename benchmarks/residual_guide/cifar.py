"""Accuracy on CIFAR-10: the guide's 93 % and 95 %. Ready to run on a GPU; not verified on our machine.

python -m benchmarks.residual_guide.cifar DATA --model resnet18

DATA: torchvision's `cifar-10-batches-py`, or `train/<class>/` and `test/<class>/` with its ten classes.
"""

from pathlib import Path

import click

import finetune
from benchmarks.residual_guide.steps import require_gpus
from recipes import load_recipe

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def require_cifar(data: Path) -> None:
    """Raise click.ClickException where `data` is neither form of CIFAR-10."""
    if (data / "batches.meta").is_file():
        return
    missing = [
        f"{part}/{label}" for part in ("train", "test") for label in CLASSES if not (data / part / label).is_dir()
    ]
    if missing:
        raise click.ClickException(
            f"{data} is no CIFAR-10: neither batches.meta nor {missing[0]}/ is in it; give torchvision's folder "
            "cifar-10-batches-py, or one with train/<class>/ and test/<class>/"
        )


def guide_settings(model: str, epochs: int) -> dict[str, object]:
    """What of the recipe `small-images` changes: the guide's SGD, with the decay that is usual for CIFAR-10."""
    return {
        "model.name": model,
        "train.epochs": epochs,
        "train.optimizer": "sgd",
        "train.momentum": 0.9,
        "train.learning_rate": 0.1,
        "train.anneal": "epoch",
        "train.warmup_epochs": 0,
        "train.weight_decay": 5e-4,
    }


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--model", default="resnet18", show_default=True, help="A ResNet of timm.")
@click.option("--epochs", type=click.IntRange(1), default=200, show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=128, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/cifar10"), show_default=True)
def main(data: Path, model: str, epochs: int, batch_size: int, out: Path) -> None:
    """Train from scratch with the recipe `small-images` and print the accuracy on the test images."""
    require_cifar(data)
    require_gpus(1)
    settings = guide_settings(model, epochs) | {"train.batch_size": batch_size, "train.device": "cuda"}
    found = finetune.run(data, load_recipe("small-images", settings), out, say=click.echo).evaluation
    accuracy = found.overall["accuracy"]
    click.echo(f"{model}, {epochs} epochs, {found.images} test images: accuracy {accuracy.value} ", nl=False)
    click.echo(f"(interval {accuracy.low} to {accuracy.high})")


if __name__ == "__main__":
    main()
