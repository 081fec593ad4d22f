"""Read every image once, in parallel: checksum, size, mode, and whether it decodes in full."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from data_tools.decoding import Pixels, decode_content, read_content
from data_tools.errors import ImageError
from data_tools.keeping import Keeping
from data_tools.progress import Track, untracked
from data_tools.samples import Probe
from data_tools.scaling import BITS, Scaling
from data_tools.sketches import make_sketch


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
    Threads serve, since Pillow's decoders and hashlib work outside the interpreter's lock.
    """
    probe = partial(probe_image, scaling=scaling, keeping=keeping)
    if workers < 2:
        return list(track(map(probe, paths), "reading images", len(paths)))
    with ThreadPoolExecutor(workers) as pool:
        try:
            return list(track(pool.map(probe, paths), "reading images", len(paths)))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an interruption does not read the rest


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
    probe = Probe(
        digest,
        width,
        height,
        image.mode,
        image.format,
        is_blank=_is_blank(image.pixels),
        remarks=image.remarks,
        bytes=len(content),
        quantiles=image.quantiles,
        sketch=make_sketch(image.pixels),
    )
    if keeping is not None:
        keeping.keep(probe, path.suffix, image.pixels)
    return probe


def _is_blank(pixels: Pixels) -> bool:
    """Whether all pixels are of one colour; some of them settle it for most images."""
    return all(bool((part == pixels[0, 0]).all()) for part in (pixels[::16, ::16], pixels))
