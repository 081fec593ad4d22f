"""Stored views against fresh ones: balanced accuracy on inner splits, and the default number of views that follows.

python -m benchmarks.views run --data DATA --weights FILE --work WORK --results views.jsonl
python -m benchmarks.views table views.jsonl --out docs/views.md

One (set, cut, setting) is one line of the results; those that are there already are not run again. The images are the
training parts of the comparison's cuts (`benchmarks/inner_splits.py`); its test images are not looked at.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.inner_splits import CUTS, Trial, measure_missing
from benchmarks.peers.sets import SETS
from benchmarks.results import read_results
from benchmarks.views_page import FRESH, STORED, document, stored_name
from recipes import parse_setting

SETTINGS: dict[str, dict[str, Any]] = {
    FRESH: {"cache.mode": "fresh"},
    **{stored_name(views): {"cache.mode": "stored", "augment.views": views} for views in STORED},
}


@click.group()
def main() -> None:
    """Measure stored views against fresh ones, and choose how many are kept."""


@main.command("run")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder that holds the sets' folders.")
@click.option("--sets", default=",".join(SETS), show_default=True)
@click.option("--model", default="tf_efficientnet_lite0", show_default=True)
@click.option("--weights", default="embedded", show_default=True)
@click.option("--recipe", metavar="NAME|FILE", help="Default: first-three.")
@click.option("--set", "settings", multiple=True, metavar="KEY.PATH=VALUE", help="Any other recipe key.")
@click.option("--cut", "cuts", type=int, multiple=True, default=CUTS, show_default=True)
@click.option("--setting", "names", type=click.Choice(list(SETTINGS)), multiple=True, help="Default: all.")
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for the cuts.")
@click.option("--results", type=click.Path(path_type=Path), required=True, help="JSON lines; added to.")
def run_command(
    data: Path,
    sets: str,
    model: str,
    weights: str,
    recipe: str | None,
    settings: Sequence[str],
    cuts: Sequence[int],
    names: Sequence[str],
    work: Path,
    results: Path,
) -> None:
    """Run what the results do not hold yet; each run adds a line."""
    fixed = {"model.name": model, "model.weights": weights, **dict(parse_setting(text) for text in settings)}
    trials = [
        Trial(
            {"set": set_name, "cut": cut, "setting": name, "recipe": recipe, "model": model, "settings": [*settings]},
            recipe,
            fixed | SETTINGS[name],
        )
        for cut, set_name, name in itertools.product(cuts, sets.split(","), names or list(SETTINGS))
    ]
    measure_missing(trials, data, work, results)


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
