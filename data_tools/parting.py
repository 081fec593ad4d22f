"""Decide which split every image belongs to: the given ones, or a fresh cut."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from data_tools.auditing import Record
from data_tools.columns import SPLITS, TEST, TRAIN, VAL
from data_tools.settings import DatasetSettings
from data_tools.splitting import cut_parts, join_units


def part_records(records: Sequence[Record], settings: DatasetSettings) -> tuple[list[Record], str]:
    """The records with their final split, and one sentence on how it came about.

    Skipped images keep the split that the data gave them, or none.
    """
    given = {record.sample.split for record in records if record.is_ok} - {""}
    both = {TEST: settings.test_fraction, VAL: settings.val_fraction}
    shares = f"test {_percent(both[TEST])}, val {_percent(both[VAL])}, train the rest (seed {settings.seed})"
    if settings.resplit or given <= {TRAIN}:
        reason = "the given splits were ignored" if settings.resplit and given else "the data bring no held-out part"
        bare = [_with_split(record, "") for record in records]
        return _cut(bare, both, settings.seed), f"{reason}; cut anew by group and class: {shares}"
    if given == set(SPLITS):
        return list(records), "train, val and test are kept as the data give them"
    if TRAIN not in given:
        return list(records), f"the data give {', '.join(sorted(given))} only"
    kept = [_with_split(record, TEST) if record.sample.split == VAL else record for record in records]
    second = VAL if VAL in given else TEST
    role = "is the held-out part and stands as test" if second == VAL else "is kept as the held-out part"
    if not both[VAL]:
        return kept, f"the given {second} part {role}; no val part is cut (data.val_fraction 0)"
    note = (
        f"the given {second} part {role}; a fresh val part ({_percent(both[VAL])} of train, "
        f"seed {settings.seed}) was cut from train"
    )
    return _cut(kept, {VAL: both[VAL]}, settings.seed), note


def _cut(records: Sequence[Record], fractions: Mapping[str, float], seed: int) -> list[Record]:
    """Cut the usable images that no given part holds back."""
    places = [place for place, record in enumerate(records) if record.is_ok and record.sample.split in ("", TRAIN)]
    free = [records[place] for place in places]
    units = join_units([record.sample.group for record in free], [record.probe.sha256 for record in free])
    wanted = {part: share for part, share in fractions.items() if share}
    parts = cut_parts([record.sample.label for record in free], units, wanted, seed)
    result = list(records)
    for place, record, part in zip(places, free, parts, strict=True):
        result[place] = _with_split(record, part)
    return result


def _with_split(record: Record, split: str) -> Record:
    return replace(record, sample=replace(record.sample, split=split))


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
