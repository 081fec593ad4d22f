"""Choose the defaults of training on inner splits of the training parts alone.

    python -m benchmarks.choose_defaults --model NAME --weights FILE --try train.batch_size=8,16 -- DATA...

Images that any of the reported seeds (0 to 2) has in its test part are left out before anything is cut; the rest is
cut anew with other seeds. So no image that a document's number speaks of is looked at when a default is chosen.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.inner_splits import INNER_SEEDS, copy_inner_images, measure_balanced_accuracy
from recipes import parse_setting


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
        images = {data: copy_inner_images(data, Path(folder) / data.name) for data in given.data}
        for data, seed in itertools.product(given.data, INNER_SEEDS):
            for setting in itertools.product(*axes):
                overrides = dict(parse_setting(text) for text in setting)
                fixed = {"model.name": given.model, "model.weights": given.weights, "seed": seed}
                value = measure_balanced_accuracy(images[data], None, fixed | overrides, Path(folder) / "run")
                totals.setdefault(" ".join(setting), []).append(value)
                print(f"{data.name},{seed},{' '.join(setting)},{value:.4f}", flush=True)
    for name, values in sorted(totals.items(), key=lambda item: -statistics.mean(item[1])):
        print(f"{statistics.mean(values):.4f}  {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
