"""The sheet of augmented views of the preset `residual-guide`, which docs/data.md shows too."""

import tempfile
from pathlib import Path

from benchmarks.data_pictures import draw_presets, write_photographs
from benchmarks.residual_guide.experiment import Experiment, Request
from benchmarks.results import Record

PRESET = "residual-guide"


def _measure(request: Request) -> list[Record]:
    out = request.figures.parent / "data"
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        draw_presets(write_photographs(Path(name) / "photographs"), out, [PRESET])
    return []


VIEWS = Experiment(_measure)
