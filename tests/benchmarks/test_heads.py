"""The comparison of heads as probes: a table of real images, and folds that keep groups together."""

from pathlib import Path

import numpy as np
import pandas as pd
from click.testing import CliRunner

from benchmarks.heads import main, probe_out_of_fold, read_images


def test_the_table_has_a_row_for_each_set(three_digits: Path) -> None:
    shown = CliRunner().invoke(main, [str(three_digits), "--seed", "0"])
    assert shown.exit_code == 0, shown.output
    *_, row = shown.output.splitlines()
    name, images, last, every = (cell.strip() for cell in row.strip("|").split("|"))
    assert (name, images) == (three_digits.name, "120")
    assert min(float(cell.split()[0]) for cell in (last, every)) > 0.9


def test_exact_copies_are_never_on_both_sides(three_digits: Path, tmp_path: Path) -> None:
    for label in ("0", "1"):
        for number, file in enumerate(sorted((three_digits / label).iterdir())[:6]):
            for copy in range(2):
                target = tmp_path / label / f"{number}-{copy}.png"
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(file.read_bytes())
    _, rows = read_images(tmp_path, "")
    assert rows["group"].nunique() == 12
    identity = np.eye(12, dtype=np.float32)[np.unique(rows["group"], return_inverse=True)[1]]
    assert probe_out_of_fold(identity, rows, seed=0) <= 0.6, "an image is known by its copy alone"
    assert probe_out_of_fold(identity, pd.DataFrame(rows.assign(group=rows["path"])), seed=0) > 0.9
