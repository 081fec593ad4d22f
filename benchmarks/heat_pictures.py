"""Draws docs/heatmaps.png: one test image of each class of a run, as the network sees it and with its heat maps.

finetune demo --out runs/demo && python -m benchmarks.heat_pictures runs/demo/run --out docs/heatmaps.png
"""

from pathlib import Path

import click
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from data_tools import evaluation_geometry, read_image
from finetune.evaluation import read_predictions
from finetune.heads import load_model
from finetune.reporting.rebuilding import read_context

_SIDE, _GAP, _TOP = 110, 6, 16


def choose_images(predictions: pd.DataFrame, most: int) -> pd.DataFrame:
    """Of each class the test image answered right with most confidence, up to `most` classes."""
    test = predictions[(predictions["split"] == "test") & (predictions["label"] == predictions["predicted"])]
    scores = [row[f"score_{row['label']}"] for _, row in test.iterrows()]
    best = test.assign(_score=scores).sort_values("_score", ascending=False, kind="stable").groupby("label").head(1)
    return best.sort_values("label").head(most)


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--classes", type=click.IntRange(1), default=6, show_default=True)
def main(run: Path, out: Path, classes: int) -> None:
    """Draw a column a class: the evaluation view above, the heat of its true class below."""
    context, chosen = read_context(run), choose_images(read_predictions(run / "predictions.csv"), classes)
    if context.explain is None or context.image_root is None:
        raise SystemExit(f"{run}: its model or its images are gone")
    geometry = evaluation_geometry(load_model(run / "model").preprocessing)
    step = _SIDE + _GAP
    sheet = Image.new("RGB", (len(chosen) * step + _GAP, _TOP + 2 * step), "white")
    pen = ImageDraw.Draw(sheet)
    for column, (path, label) in enumerate(zip(chosen["path"], chosen["label"], strict=True)):
        view = geometry(read_image(context.image_root / str(path)))
        heat = context.explain(str(path), str(label))
        pen.text((_GAP + column * step, 2), f"class {label}", fill="black")
        for line, pixels in enumerate((view, view if heat is None else heat)):
            small = Image.fromarray(np.asarray(pixels)).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
            sheet.paste(small, (_GAP + column * step, _TOP + line * step))
    sheet.save(out, optimize=True)


if __name__ == "__main__":
    main()
