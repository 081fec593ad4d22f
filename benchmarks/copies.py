"""How long the search for near copies takes, and its memory.

    python -m benchmarks.copies --images 50000

Sketches of smooth noise, so that all pairs are compared and few are alike; one in a hundred is a copy.
"""

import base64
import resource
from time import perf_counter

import click
import cv2
import numpy as np

from data_tools.near_duplicates import find_near_duplicates
from data_tools.sketches import SIDE

_COARSE = 9


def make_sketches(count: int, seed: int = 0) -> tuple[list[str], int]:
    """Sketches, and how many of them are mirrored copies of an earlier one."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, _COARSE, _COARSE), dtype=np.uint8)
    copies = count // 100
    coarse[count - copies :] = coarse[:copies, :, ::-1]
    smooth = (cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for one in coarse)
    return [base64.b64encode(one.tobytes()).decode("ascii") for one in smooth], copies


@click.command()
@click.option("--images", type=int, default=50_000, show_default=True)
def command(images: int) -> None:
    """Search IMAGES sketches for copies."""
    sketches, copies = make_sketches(images)
    started = perf_counter()
    pairs = find_near_duplicates(sketches)
    seconds, peak = perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    click.echo(
        f"{images:,} images: {seconds:.1f} s, peak {peak:.2f} GiB of the whole process; {len(pairs)} pairs found"
    )
    if len(pairs) != copies:
        raise click.ClickException(f"{copies} copies were planted")


if __name__ == "__main__":
    command()
