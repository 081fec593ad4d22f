"""Choose the defaults of training on inner splits of the training parts alone.

    python -m benchmarks.choose_defaults --model NAME --weights FILE --try train.batch_size=8,16 -- DATA...

Images that any of the reported seeds (0 to 2) has in its test part are left out before anything is cut; the rest is
cut anew with other seeds. So no image that a document's number speaks of is looked at when a default is chosen.
"""

import argparse
import itertools
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import finetune
from data_tools import DatasetSettings, prepare_dataset
from recipes import load_recipe, parse_setting

REPORTED_SEEDS = (0, 1, 2)
INNER_SEEDS = (11, 12, 13)


def copy_inner_images(data: Path, target: Path) -> None:
    """Copy to `target` the images of `data` that are in the test part of no reported seed.

    Classes with fewer than eight such images are left out.
    """
    made = [prepare_dataset(data, DatasetSettings(seed=seed)) for seed in REPORTED_SEEDS]
    held_out = {path for one in made for path in one.part("test")["path"]}
    table = made[0].table[(made[0].table["status"] == "ok") & ~made[0].table["path"].isin(held_out)]
    for label, rows in table.groupby("label"):
        if len(rows) >= 8:
            (target / label).mkdir(parents=True)
            for path in rows["path"]:
                shutil.copy(made[0].root / path, target / label)


def measure(inner: Path, overrides: dict[str, Any], out: Path) -> float:
    """Balanced accuracy on the part held out inside `inner`."""
    result = finetune.run(inner, load_recipe(None, overrides), out, overwrite=True)
    value = result.evaluation.overall["balanced_accuracy"].value
    if value is None:
        raise SystemExit(f"{inner}: a class has no held-out image")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--model", default="tf_efficientnet_lite0")
    parser.add_argument("--weights", default="embedded")
    parser.add_argument("--try", dest="grids", action="append", default=[], metavar="KEY=A,B", help="values to compare")
    given = parser.parse_args()
    axes = [
        [f"{grid.partition('=')[0]}={value}" for value in grid.partition("=")[2].split(",")] for grid in given.grids
    ]
    print("set,seed,setting,balanced_accuracy", flush=True)
    totals: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for data, seed in itertools.product(given.data, INNER_SEEDS):
            inner = Path(folder) / data.name
            if not inner.exists():
                copy_inner_images(data, inner)
            for setting in itertools.product(*axes):
                overrides = dict(parse_setting(text) for text in setting)
                fixed = {"model.name": given.model, "model.weights": given.weights, "seed": seed}
                value = measure(inner, fixed | overrides, Path(folder) / "run")
                totals.setdefault(" ".join(setting), []).append(value)
                print(f"{data.name},{seed},{' '.join(setting)},{value:.4f}", flush=True)
    for name, values in sorted(totals.items(), key=lambda item: -statistics.mean(item[1])):
        print(f"{statistics.mean(values):.4f}  {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
