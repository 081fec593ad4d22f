"""Stored views against fresh ones: balanced accuracy on inner splits, and the default number of views that follows.

python -m benchmarks.views run DATA[@COLUMN]... --results views.jsonl
python -m benchmarks.views table views.jsonl --out docs/views.md

`@COLUMN` names the groups in DATA/metadata.csv, such as chest_xray_pneumonia@patient. The reported runs cut each set
two thirds to one third; only what is in the test part of none of them is looked at here (`benchmarks/inner_splits.py`).
One (set, cut, setting) is one line of the results; those that are there already are not run again.
"""

import itertools
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.inner_splits import INNER_SEEDS, InnerImages, copy_inner_images, measure_balanced_accuracy
from benchmarks.results import append_result, is_recorded, read_results
from benchmarks.views_page import FRESH, STORED, document, stored_name
from data_tools import DatasetSettings
from recipes import parse_setting

TEST_FRACTION = 1 / 3
SETTINGS: dict[str, dict[str, Any]] = {
    FRESH: {"cache.mode": "fresh"},
    **{stored_name(views): {"cache.mode": "stored", "augment.views": views} for views in STORED},
}


@click.group()
def main() -> None:
    """Measure stored views against fresh ones, and choose how many are kept."""


@main.command("run")
@click.argument("data", nargs=-1, required=True)
@click.option("--model", default="tf_efficientnet_lite0", show_default=True)
@click.option("--weights", default="embedded", show_default=True)
@click.option("--recipe", metavar="NAME|FILE", help="Default: first-three.")
@click.option("--set", "settings", multiple=True, metavar="KEY.PATH=VALUE", help="Any other recipe key.")
@click.option("--cut", "cuts", type=int, multiple=True, default=INNER_SEEDS, show_default=True, help="Inner seeds.")
@click.option("--setting", "names", type=click.Choice(list(SETTINGS)), multiple=True, help="Default: all.")
@click.option("--results", type=click.Path(path_type=Path), required=True, help="JSON lines; added to.")
def run_command(
    data: Sequence[str],
    model: str,
    weights: str,
    recipe: str | None,
    settings: Sequence[str],
    cuts: Sequence[int],
    names: Sequence[str],
    results: Path,
) -> None:
    """Run what the results do not hold yet; each run adds a line."""
    fixed = {"model.name": model, "model.weights": weights, **dict(parse_setting(text) for text in settings)}
    with tempfile.TemporaryDirectory() as folder:
        images: dict[str, InnerImages] = {}
        for text, cut, name in itertools.product(data, cuts, names or list(SETTINGS)):
            path, _, column = text.partition("@")
            source = Path(path).resolve()
            wanted = {"set": source.name, "cut": cut, "setting": name}
            wanted |= {"recipe": recipe, "model": model, "settings": list(settings)}
            if is_recorded(read_results(results), wanted):
                continue
            if text not in images:
                images[text] = copy_inner_images(source, Path(folder) / source.name, cut_settings(source, column))
            out = Path(folder) / "run"
            value = measure_balanced_accuracy(images[text], recipe, fixed | SETTINGS[name] | {"seed": cut}, out)
            timings = json.loads((out / "timings.json").read_text())
            append_result(results, wanted | {"balanced_accuracy": value, "timings": timings})
            click.echo(f"{source.name}, cut {cut}, {name}: {value:.4f}", err=True)


def cut_settings(data: Path, column: str) -> DatasetSettings:
    """How the reported runs cut a set: anew, by the groups of `column` where one is given."""
    if not column:
        return DatasetSettings(resplit=True, test_fraction=TEST_FRACTION)
    return DatasetSettings(metadata=data / "metadata.csv", group=column, resplit=True, test_fraction=TEST_FRACTION)


@main.command("table")
@click.argument("results", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), help="File for the page in Markdown.")
def table_command(results: Path, out: Path | None) -> None:
    """Compare the settings over the sets and cuts that have all of them."""
    page = document(read_results(results))
    click.echo(page, nl=False)
    if out is not None:
        out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
