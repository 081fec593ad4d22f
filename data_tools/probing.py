"""Read every image once, in parallel: checksum, size, mode, and whether it decodes in full."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from data_tools.decoding import Pixels, decode_content, read_content
from data_tools.errors import ImageError
from data_tools.keeping import Keeping, lean_pixels
from data_tools.memory import keep_freed_memory
from data_tools.progress import Track, untracked
from data_tools.samples import Probe
from data_tools.scaling import BITS, Scaling
from data_tools.sketches import make_sketch

Prober = partial[Probe]

_MANY = 2000
"""From so many images on, processes: they take a third of a second to start."""
_CHUNK = 32
_AHEAD = 3
"""Chunks that wait for each process, so that none is idle while this one reads a chunk of its own."""
_prober: Prober | None = None
"""What a process that reads images does with each."""


def probe_images(
    paths: Sequence[Path],
    *,
    scaling: Scaling = BITS,
    workers: int = 0,
    keeping: Keeping | None = None,
    track: Track = untracked,
) -> list[Probe]:
    """One probe per path, in the order of `paths`; the same for any number of workers, and whatever is kept.

    With `keeping`, an image that was decoded before is read and hashed, no more; deep values are scaled as it says.
    Threads serve for few images, since Pillow's decoders and hashlib work outside the interpreter's lock; for many it
    pays to start processes, since what is left inside the lock takes as long as a small JPEG.
    """
    probe = partial(probe_image, scaling=scaling, keeping=keeping)
    try:
        if workers < 2:
            made: Iterator[Probe] = map(probe, paths)
        else:
            made = _by_threads(probe, paths, workers) if len(paths) < _MANY else _by_processes(probe, paths, workers)
        return list(track(made, "reading images", len(paths)))
    finally:
        if keeping is not None:
            keeping.store.flush()


def _by_threads(probe: Prober, paths: Sequence[Path], workers: int) -> Iterator[Probe]:
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield from pool.map(probe, paths)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an interruption does not read the rest


def _by_processes(probe: Prober, paths: Sequence[Path], workers: int) -> Iterator[Probe]:
    """The others start while this process reads already; whoever is free takes the next images."""
    from loky import get_reusable_executor  # most commands read few images

    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    pool = get_reusable_executor(workers - 1, timeout=60, initializer=_begin, initargs=(probe,))
    made: dict[int, list[Probe]] = {}
    sent: dict[int, Future[list[Probe]]] = {}
    untaken, is_done = deque(range(len(chunks))), False
    try:
        for number in range(len(chunks)):
            while number not in made:
                while untaken and sum(not one.done() for one in sent.values()) < _AHEAD * (workers - 1):
                    other = untaken.popleft()
                    sent[other] = pool.submit(_probe_chunk, chunks[other])
                if number in sent and (sent[number].done() or not untaken):
                    made[number] = sent.pop(number).result()
                else:
                    own = untaken.popleft()
                    made[own] = [probe(path) for path in chunks[own]]
            yield from made.pop(number)
        is_done = True
    finally:
        pool.shutdown(wait=False, kill_workers=not is_done)


def _begin(probe: Prober) -> None:
    global _prober  # noqa: PLW0603 (of a process that does nothing else)
    keep_freed_memory()
    _prober = probe


def _probe_chunk(paths: Sequence[Path]) -> list[Probe]:
    """Probes of some images, in a process of its own."""
    assert _prober is not None
    try:
        return [_prober(path) for path in paths]
    finally:
        keeping = _prober.keywords["keeping"]
        if keeping is not None:
            keeping.store.flush()


def probe_image(path: Path, *, scaling: Scaling = BITS, keeping: Keeping | None = None) -> Probe:
    """Everything that reading a file once can tell; a file that cannot be decoded yields its reason."""
    try:
        content = read_content(path)
    except ImageError as error:
        return Probe(reason=str(error))
    digest = hashlib.sha256(content).hexdigest()
    known = keeping.known(digest, path.suffix) if keeping is not None else None
    if known is not None:
        return known
    try:
        image = decode_content(content, path.suffix, scaling)
    except ImageError as error:
        # Not kept: such files are few, and the reason may have been the machine's (memory), not the file's.
        return Probe(sha256=digest, reason=str(error), bytes=len(content))
    height, width = image.pixels.shape[:2]
    lean = lean_pixels(image.pixels)
    probe = Probe(
        digest,
        width,
        height,
        image.mode,
        image.format,
        is_blank=_is_blank(lean),
        remarks=image.remarks,
        bytes=len(content),
        quantiles=image.quantiles,
        sketch=make_sketch(lean),
    )
    if keeping is not None:
        keeping.keep(probe, path.suffix, lean)
    return probe


def _is_blank(pixels: Pixels) -> bool:
    """Whether all pixels are of one colour; some of them settle it for most images."""
    first, middle = pixels[0, 0], pixels[pixels.shape[0] // 2, pixels.shape[1] // 2]
    if first.tobytes() != middle.tobytes():
        return False
    return all(bool((part == first).all()) for part in (pixels[::16, ::16], pixels))
