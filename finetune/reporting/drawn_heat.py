"""Heat maps that were drawn once and are kept as pictures, since the networks that they are of are not."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_tools.private import make_private_folder
from finetune.files import write_bytes
from finetune.reporting.context import Explain

FOLDER = "heatmaps"


def keep_drawn(explain: Explain, folder: Path) -> Explain:
    """`explain`; what it draws (height, width, 3) is kept in `folder`, from which `read_drawn` hands it out."""

    def draw(path: str, label: str) -> NDArray[np.uint8] | None:
        pixels = explain(path, label)
        if pixels is not None:
            make_private_folder(folder)
            content = BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            write_bytes(_file(folder, path, label), content.getvalue(), is_synced=False)
        return pixels

    return draw


def read_drawn(folder: Path) -> Explain:
    """Hands out what was drawn of an image for a class; None for what was not."""

    def read(path: str, label: str) -> NDArray[np.uint8] | None:
        file = _file(folder, path, label)
        return np.asarray(Image.open(file)) if file.is_file() else None

    return read


def _file(folder: Path, path: str, label: str) -> Path:
    named = f"{path}\0{label}".encode("utf-8", errors="surrogateescape")
    return folder / f"{hashlib.sha256(named).hexdigest()[:24]}.png"
