"""The pictures of docs/data.md, from the two photographs that scikit-learn brings.

python -m benchmarks.data_pictures --out docs/data
"""

import io
import tempfile
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

from data_tools import DatasetSettings, Scaling, prepare_dataset, read_image
from data_tools.presets import PRESETS
from finetune.jobs.previewing import preview_drawer
from recipes import load_recipe

MODEL = "tf_efficientnet_lite0"
_SIDE = 300
_QUALITY = 80


def write_photographs(folder: Path) -> Path:
    """Six parts of the two photographs, in two classes."""
    for label, pixels in zip(("china", "flower"), load_sample_images().images, strict=True):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number, left in enumerate((20, 180, 330)):
            part = Image.fromarray(pixels).crop((left, 60, left + _SIDE, 60 + _SIDE))
            part.save(folder / label / f"{number}.png")
    return folder


def draw_presets(folder: Path, out: Path, presets: Iterable[str] = PRESETS) -> None:
    """One sheet for each preset."""
    settings = DatasetSettings(test_fraction=0.34, val_fraction=0.0)
    for preset in presets:
        recipe = load_recipe(None, {"augment.preset": preset, "model.name": MODEL})
        sheet = preview_drawer(recipe)(prepare_dataset(folder, settings))
        with Image.open(io.BytesIO(sheet)) as image:
            image.convert("RGB").save(out / f"preset-{preset}.jpg", quality=_QUALITY)


def draw_scalings(out: Path) -> None:
    """12-bit values in a 16-bit file: by the bits of the file, by those that are stored, by a range."""
    grey = np.asarray(Image.fromarray(load_sample_images().images[0]).convert("L").resize((320, 213)))
    rules = {"bits": Scaling(), "bits_stored 12": Scaling(bits=12), "range [800, 2800]": Scaling("range", 800, 2800)}
    sheet = Image.new("RGB", (len(rules) * 330, 240), "white")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "scan.png"
        Image.fromarray(grey.astype(np.uint16) << 4).save(path)
        for place, (title, scaling) in enumerate(rules.items()):
            sheet.paste(Image.fromarray(read_image(path, scaling)), (place * 330, 24))
            ImageDraw.Draw(sheet).text((place * 330 + 4, 6), title, fill="black")
    sheet.save(out / "scaling.jpg", quality=_QUALITY)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/data"), show_default=True)
def command(out: Path) -> None:
    """Draw every picture of docs/data.md."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        draw_presets(write_photographs(Path(name) / "photographs"), out)
    draw_scalings(out)


if __name__ == "__main__":
    command()
