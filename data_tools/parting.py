"""Decide which split every image belongs to: the given ones, or a fresh cut."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from data_tools.auditing import Record
from data_tools.columns import SPLITS, TEST, TRAIN, VAL
from data_tools.errors import DataError
from data_tools.near_duplicates import NearPair
from data_tools.settings import DatasetSettings
from data_tools.splitting import cut_parts, join_units


def part_records(
    records: Sequence[Record], settings: DatasetSettings, copies: Sequence[NearPair] = ()
) -> tuple[list[Record], str]:
    """The records with their final split, and one sentence on how it came about; no fresh cut parts `copies`.

    Skipped images keep the split that the data gave them, or none. Raises DataError where a table gives splits to other
    usable images and none to one.
    """
    if settings.known_labels is not None:
        held_out = [_with_split(record, TEST) for record in records]
        return held_out, "every image is held out: the network is trained already"
    if settings.splits is not None:
        _check_given(records, settings.splits.name)
    keys = _copy_keys(len(records), copies)
    given = {record.sample.split for record in records if record.is_ok} - {""}
    both = {TEST: settings.test_fraction, VAL: settings.val_fraction}
    shares = f"test {_percent(both[TEST])}, val {_percent(both[VAL])}, train the rest (seed {settings.seed})"
    if settings.resplit or given <= {TRAIN}:
        reason = "the given splits were ignored" if settings.resplit and given else "the data bring no held-out part"
        bare = [_with_split(record, "") for record in records]
        return _cut(bare, both, keys, settings.seed), f"{reason}; cut anew by group and class: {shares}"
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
    return _cut(kept, {VAL: both[VAL]}, keys, settings.seed), note


def _check_given(records: Sequence[Record], name: str) -> None:
    bare = [record.sample.path for record in records if record.is_ok and not record.sample.split]
    if bare and len(bare) < sum(record.is_ok for record in records):
        raise DataError(f"{name}: {bare[0]} can be read but has no split there, though others have one; fill it in")


def _copy_keys(count: int, copies: Sequence[NearPair]) -> list[str]:
    """One text per image, equal for copies of each other, directly or by a chain; empty for pictures without any."""
    joined = join_units([""] * count, pairs=[(pair.first, pair.second) for pair in copies])
    paired = {place for pair in copies for place in (pair.first, pair.second)}
    return [str(unit) if place in paired else "" for place, unit in enumerate(joined)]


def _cut(
    records: Sequence[Record], fractions: Mapping[str, float], copy_keys: Sequence[str], seed: int
) -> list[Record]:
    """Cut the usable images that no given part holds back."""
    places = [place for place, record in enumerate(records) if record.is_ok and record.sample.split in ("", TRAIN)]
    free = [records[place] for place in places]
    groups, digests = [record.sample.group for record in free], [record.probe.sha256 for record in free]
    units = join_units(groups, digests, [copy_keys[place] for place in places])
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
