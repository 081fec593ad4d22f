"""The images of a dataset that show the same picture in different files."""

from collections.abc import Sequence

from data_tools.auditing import Record
from data_tools.near_duplicates import NearPair, find_near_duplicates
from data_tools.progress import Track, untracked


def find_copies(records: Sequence[Record], track: Track = untracked) -> list[NearPair]:
    """Pairs of usable images, by their places in `records`, that are near duplicates and no equal files."""
    sketches = [record.probe.sketch if record.is_ok else "" for record in records]
    return [
        pair
        for pair in find_near_duplicates(sketches, track)
        if records[pair.first].probe.sha256 != records[pair.second].probe.sha256
    ]
