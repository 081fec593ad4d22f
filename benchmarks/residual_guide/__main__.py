"""Every figure and number of docs/residual-guide.md.

    python -m benchmarks.residual_guide                                  # all but the comparison of policies
    python -m benchmarks.residual_guide --only depth --only signal
    python -m benchmarks.residual_guide ../shared/data --weights FILE    # that comparison too

Rows go to docs/measured/residual_guide.jsonl, in place of those of the same experiment, figures to
docs/residual-guide/, and each table of the page is written anew from the rows. DATA is the folder that holds the sets'
folders.
"""

from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.residual_guide.depth import DEPTH
from benchmarks.residual_guide.experiment import Experiment, Request
from benchmarks.residual_guide.page import put_table, replace_rows, rows_of
from benchmarks.residual_guide.policies import FREEZING
from benchmarks.residual_guide.rates import RATES
from benchmarks.residual_guide.signal import SIGNAL
from benchmarks.residual_guide.small_images import SMALL
from benchmarks.residual_guide.stage_maps import MAPS
from benchmarks.residual_guide.views import VIEWS

EXPERIMENTS: dict[str, Experiment] = {
    "depth": DEPTH,
    "signal": SIGNAL,
    "rates": RATES,
    "views": VIEWS,
    "small": SMALL,
    "maps": MAPS,
    "policies": FREEZING,
}
_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@click.option("--only", "names", type=click.Choice(list(EXPERIMENTS)), multiple=True, help="Default: all that can.")
@click.option("--weights", default="embedded", show_default=True, help="Of EfficientNet-Lite0, for the policies.")
@click.option("--docs", type=_PATH, default=Path("docs"), show_default=True, help="Where page, figures and rows lie.")
@click.option("--brief", is_flag=True, help="Little of everything, to see that it works; give another --docs.")
def main(data: Path | None, names: Sequence[str], weights: str, docs: Path, brief: bool) -> None:
    """Measure, draw, and write the tables of the page."""
    request = Request(docs / "residual-guide", data, weights, brief)
    request.figures.mkdir(parents=True, exist_ok=True)
    rows, page = docs / "measured" / "residual_guide.jsonl", docs / "residual-guide.md"
    for name in names or [one for one, held in EXPERIMENTS.items() if data is not None or not held.needs_data]:
        experiment = EXPERIMENTS[name]
        click.echo(name, err=True)
        measured = experiment.measure(request)
        if experiment.compose is None:
            continue
        replace_rows(rows, name, measured)
        table = experiment.compose(rows_of(rows, name))
        page.write_text(put_table(page.read_text(encoding="utf-8"), name, table), encoding="utf-8")
        click.echo(table)


if __name__ == "__main__":
    main()
