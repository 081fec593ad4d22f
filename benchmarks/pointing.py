"""The pointing game: does the hottest place of a heat map lie on the animal (Zhang et al., 2018)?

python -m benchmarks.pointing ../shared/data/hymenoptera --weights ../shared/weights/tf_efficientnet_lite0.safetensors

Trains the default recipe and looks at images of its test part, each with a coarse box around its animal by hand
(benchmarks/boxes/, sides as shares of the whole image). Beside the hits stand those that a point drawn evenly from the
evaluation view would have, and its middle. `--sheet` draws what was looked at.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import finetune
from data_tools import Preprocessing, build_evaluation_pipeline, evaluation_geometry, read_image
from finetune.backbones import Backbone
from finetune.evaluation.intervals import clopper_pearson
from finetune.explaining import explain_image, overlay
from finetune.heads import load_model, saved_labels
from recipes import load_recipe

BOXES = Path(__file__).parent / "boxes" / "hymenoptera.csv"
_SIDE = 300


@dataclass(frozen=True)
class Pointing:
    """What the hottest places of one image's maps hit."""

    true_class: bool
    answered: bool
    middle: bool
    share: float
    """Of the evaluation view that lies in the box: how often a point drawn evenly hits."""
    picture: Image.Image


def seen_box(shape: tuple[int, ...], box: Sequence[float], preprocessing: Preprocessing) -> NDArray[np.bool_]:
    """Where the evaluation view of an image of this shape shows its box (left, top, right, bottom, as shares)."""
    height, width = shape[:2]
    left, top, right, bottom = box
    mask = np.zeros((height, width, 3), np.uint8)
    mask[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 255
    black = replace(preprocessing, mean=(0.0,) * preprocessing.channels)  # what is padded is no box
    inside: NDArray[np.bool_] = evaluation_geometry(black)(mask)[:, :, 0] > 127
    return inside


def is_hit(heat: NDArray[np.float32], inside: NDArray[np.bool_]) -> bool:
    """Whether the hottest place lies inside; a map without heat points nowhere."""
    return bool(heat.max() > 0 and inside.flat[int(heat.argmax())])


def point_at(backbone: Backbone, image: Path, target: int, box: Sequence[float]) -> Pointing:
    """The hits on one image of class `target`."""
    pixels, pipeline = read_image(image), build_evaluation_pipeline(backbone.preprocessing)
    geometry = evaluation_geometry(backbone.preprocessing)
    inside = seen_box(pixels.shape, box, backbone.preprocessing)
    given = torch.from_numpy(pipeline(pixels, 0))
    with torch.no_grad():
        answer = int(backbone.model(given[None]).argmax())
    heats = [explain_image(backbone, given, one) for one in (target, answer)]
    told = [heat for heat in heats if not isinstance(heat, str)]
    if len(told) < len(heats):
        raise SystemExit(f"{backbone.name}: {heats[0]}")
    truth, answered = told
    height, width = inside.shape
    hits = is_hit(truth, inside), is_hit(answered, inside), bool(inside[height // 2, width // 2])
    return Pointing(*hits, float(inside.mean()), _draw(geometry(pixels), truth, inside))


def _draw(view: NDArray[np.uint8], heat: NDArray[np.float32], inside: NDArray[np.bool_]) -> Image.Image:
    drawn = Image.fromarray(np.concatenate([view, overlay(view, heat)], axis=1))
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    pen, shift = ImageDraw.Draw(drawn), view.shape[1]
    if len(rows):
        pen.rectangle([columns[0] + shift, rows[0], columns[-1] + shift, rows[-1]], outline="cyan")
    y, x = divmod(int(heat.argmax()), heat.shape[1])
    pen.ellipse([x + shift - 4, y - 4, x + shift + 4, y + 4], outline="lime", width=2)
    return drawn.resize((2 * _SIDE, _SIDE))


def report_hits(pointed: Sequence[Pointing]) -> str:
    """A table in Markdown: hits with exact intervals."""
    count = len(pointed)
    lines = [f"| point | hits of {count} | rate | 95 % interval |", "|---|---|---|---|"]
    rows = {
        "hottest, true class": [one.true_class for one in pointed],
        "hottest, answered class": [one.answered for one in pointed],
        "middle of the view": [one.middle for one in pointed],
    }
    for name, hits in rows.items():
        low, high = clopper_pearson(sum(hits), count, 0.95)
        lines.append(f"| {name} | {sum(hits)} | {sum(hits) / count:.2f} | {low:.2f} to {high:.2f} |")
    expected = sum(one.share for one in pointed)
    lines.append(f"| drawn evenly from the view | {expected:.1f} expected | {expected / count:.2f} | |")
    return "\n".join(lines)


def draw_sheet(pointed: Sequence[Pointing], sheet: Path) -> None:
    """Every view beside its overlay for the true class, with box and hottest place."""
    columns = 2
    made = Image.new("RGB", (columns * 2 * _SIDE, -(-len(pointed) // columns) * _SIDE), "white")
    for place, one in enumerate(pointed):
        made.paste(one.picture, (place % columns * 2 * _SIDE, place // columns * _SIDE))
    made.save(sheet)


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--model", default="tf_efficientnet_lite0", show_default=True)
@click.option("--weights", default="embedded", show_default=True)
@click.option("--boxes", type=click.Path(path_type=Path, exists=True), default=BOXES, help="path,left,top,right,bottom")
@click.option("--run", "run_folder", type=click.Path(path_type=Path, exists=True), help="A run that exists already.")
@click.option("--sheet", type=click.Path(path_type=Path), help="A picture of every map.")
def main(data: Path, model: str, weights: str, boxes: Path, run_folder: Path | None, sheet: Path | None) -> None:
    """Print how often the hottest place lies in the box."""
    with tempfile.TemporaryDirectory() as scratch:
        if run_folder is None:
            recipe = load_recipe(None, {"model.name": model, "model.weights": weights})
            run_folder = finetune.run(data, recipe, Path(scratch) / "run", say=click.echo).folder
        backbone, labels = load_model(run_folder / "model"), saved_labels(run_folder / "model")
    pointed = []
    for row in pd.read_csv(boxes).itertuples():
        label, box = Path(str(row.path)).parts[-2], [float(str(side)) for side in row[2:]]
        pointed.append(point_at(backbone, data / str(row.path), labels.index(label), box))
    click.echo(report_hits(pointed))
    if sheet is not None:
        draw_sheet(pointed, sheet)


if __name__ == "__main__":
    main()
