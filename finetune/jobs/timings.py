"""What timings.json says: seconds of each part of a job, and how much there was to do."""

from pathlib import Path

from data_tools import Dataset
from finetune.files import write_json
from finetune.timing import Stopwatch
from recipes import Recipe

_PARTS = ("decode", "trunk", "tail", "evaluate", "report", "total")


def write_timings(folder: Path, watch: Stopwatch, dataset: Dataset, recipe: Recipe, epochs: int) -> None:
    """Write timings.json; `epochs` are those of gradient steps."""
    seconds = {name: round(value, 3) for name, value in watch.seconds().items()}
    counts = {"images": len(dataset.table), "views": recipe.augment.views, "epochs": epochs}
    write_json(folder / "timings.json", {name: seconds.get(name, 0.0) for name in _PARTS} | counts)
