"""Read every image once, in parallel: checksum, size, mode, and whether it decodes in full."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from data_tools.decoding import probe_image
from data_tools.progress import Track, untracked
from data_tools.samples import Probe


def probe_images(paths: Sequence[Path], *, workers: int = 0, track: Track = untracked) -> list[Probe]:
    """One probe per path, in the order of `paths`; the same for any number of workers.

    Threads serve, since Pillow's decoders and hashlib work outside the interpreter's lock.
    """
    if workers < 2:
        return list(track(map(probe_image, paths), "reading images", len(paths)))
    with ThreadPoolExecutor(workers) as pool:
        try:
            return list(track(pool.map(probe_image, paths), "reading images", len(paths)))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an interruption does not read the rest
