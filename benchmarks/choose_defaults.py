"""Each default against alternatives, one at a time, on inner splits of the training parts alone.

python -m benchmarks.choose_defaults --data DATA --weights FILE --work WORK --results tries.jsonl \\
    --try train.batch_size=16 --try "train.batch_size=16 train.learning_rate=6e-4"

The default recipe, and the recipe with each change, are run on every set and cut (`benchmarks/inner_splits.py`); what
the results hold already is not run again. At the end a table of means, each change with its paired difference.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import click

from benchmarks.inner_splits import CUTS, Trial, measure_missing
from benchmarks.pairing import paired_difference
from benchmarks.peers.sets import SETS
from benchmarks.results import Record, is_recorded, read_results
from recipes import parse_setting

DEFAULT = "as it is"
_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--data", type=_PATH, required=True, help="Folder that holds the sets' folders.")
@click.option("--sets", default=",".join(SETS), show_default=True)
@click.option("--cut", "cuts", type=int, multiple=True, default=CUTS, show_default=True)
@click.option("--model", default="tf_efficientnet_lite0", show_default=True)
@click.option("--weights", default="embedded", show_default=True)
@click.option(
    "--try", "changes", multiple=True, metavar="KEY=VALUE...", help="A change of the recipe; may be repeated."
)
@click.option("--work", type=_PATH, required=True, help="Folder for the cuts.")
@click.option("--results", type=_PATH, required=True, help="JSON lines; added to.")
def main(
    data: Path,
    sets: str,
    cuts: Sequence[int],
    model: str,
    weights: str,
    changes: Sequence[str],
    work: Path,
    results: Path,
) -> None:
    """Compare the default recipe with changes of it; each run adds a line."""
    fixed = {"model.name": model, "model.weights": weights}
    trials = [
        Trial({"set": name, "cut": cut, "model": model, "setting": setting}, None, fixed | _overrides(setting))
        for cut in cuts
        for name in sets.split(",")
        for setting in (DEFAULT, *changes)
    ]
    measure_missing(trials, data, work, results)
    held = read_results(results)
    click.echo(
        summary([record for trial in trials for record in held if is_recorded([record], trial.record)]), nl=False
    )


def _overrides(setting: str) -> dict[str, Any]:
    return {} if setting == DEFAULT else dict(parse_setting(text) for text in setting.split())


def summary(records: Sequence[Record]) -> str:
    """Mean balanced accuracy of each setting, by set and over all, and its paired difference to the default."""
    settings = list(dict.fromkeys(record["setting"] for record in records))
    sets = list(dict.fromkeys(record["set"] for record in records))
    held = {(record["setting"], record["set"], record["cut"]): record["balanced_accuracy"] for record in records}
    pairs = sorted({(name, cut) for _, name, cut in held})
    rows = {setting: [held[setting, *pair] for pair in pairs] for setting in settings}
    lines = ["| setting | " + " | ".join(sets) + " | mean | against the default |", "|---" * (len(sets) + 3) + "|"]
    for setting in sorted(settings, key=lambda one: -mean(rows[one])):
        of_sets = [mean(held[setting, name, cut] for name, cut in pairs if name == one) for one in sets]
        difference = "" if setting == DEFAULT else paired_difference(rows[setting], rows[DEFAULT]).points
        cells = [*(f"{value:.3f}" for value in of_sets), f"{mean(rows[setting]):.3f}", difference]
        lines.append(f"| `{setting}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
