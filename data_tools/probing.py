"""Read every image once, in parallel: checksum, size, mode, and whether it decodes in full."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from data_tools.decoding import probe_image
from data_tools.errors import DataError
from data_tools.progress import Track, untracked
from data_tools.samples import Probe

_WORTH_A_POOL = 64
"""Below this many images, starting processes takes longer than reading."""


def probe_images(paths: Sequence[Path], *, workers: int = 0, track: Track = untracked) -> list[Probe]:
    """One probe per path, in the order of `paths`; the same for any number of workers."""
    if workers < 1 or len(paths) < _WORTH_A_POOL:
        return list(track(map(probe_image, paths), "reading images", len(paths)))
    context = get_context("spawn")  # forking a process that runs threads can hang it
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            probes: Iterable[Probe] = pool.map(probe_image, paths, chunksize=8)
            return list(track(probes, "reading images", len(paths)))
        except BrokenProcessPool as error:
            raise DataError(
                "a process that was reading images died (out of memory, or a script without "
                "`if __name__ == '__main__':`?); try --workers 0"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an interruption does not read the rest
