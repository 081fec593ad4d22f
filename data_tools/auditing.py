"""Look over a split dataset and tell what could mislead: one finding per fact."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from unicodedata import normalize

from data_tools.columns import ERROR, NOTE, SEVERITIES, SPLITS, TEST, TRAIN, VAL, WARNING
from data_tools.near_duplicates import NearPair
from data_tools.samples import Finding, Probe, Sample
from data_tools.shortcuts import find_shortcuts
from data_tools.splitting import join_units
from data_tools.wording import counted

SMALL_CLASS = 10
"""A class below this many images is named."""
IMBALANCE = 3.0
"""The largest class has this many times the images of the smallest."""
TINY_SIDE = 8
RARE_FORMAT = 0.05
"""Files of a format that makes up less than this share are named one by one."""
MOST_ALIKE = 20
"""More files with the same remark are told in one finding."""
_PLACEHOLDER = re.compile(r"(not|un)[-_ ]?(found|available)|no[-_ ]?(image|photo)|placeholder", re.IGNORECASE)


@dataclass(frozen=True)
class Record:
    """A sample and its probe, with the split it ended in."""

    sample: Sample
    probe: Probe

    @property
    def is_ok(self) -> bool:
        return not self.probe.reason


def audit_records(
    records: Sequence[Record], copies: Sequence[NearPair] = (), splits: Sequence[str] = SPLITS
) -> list[Finding]:
    """Every finding about the images and their splits, sorted by severity, check and path.

    `copies` are pairs of near duplicates by their places in `records`, `splits` those that each class should be in.
    """
    good = [record for record in records if record.is_ok]
    found = [
        *_find_unreadable(records),
        *_find_duplicates(good),
        *_find_near_duplicates(records, copies),
        *_find_shortcuts(good),
        *_find_leaking_groups(good),
        *_find_class_sizes(good, splits),
        *_find_lookalike_labels(good),
        *_find_mixtures(good),
        *_find_odd_pictures(good),
        *_find_odd_files(good),
    ]
    return sort_findings(found)


def sort_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Errors first, then warnings, then notes; within them by check, path and detail."""
    return sorted(
        findings,
        key=lambda one: (
            SEVERITIES.index(one.severity),
            one.check,
            one.path,
            one.other_path,
            one.detail,
        ),
    )


def spread_over_splits(records: Sequence[Record]) -> dict[str, list[list[Record]]]:
    """The sets of equal files and the groups of which more than one split holds a part."""
    good = [record for record in records if record.is_ok]
    spread = {
        "duplicates": _gather(good, [record.probe.sha256 for record in good]),
        "groups": _gather(good, [record.sample.group for record in good]),
    }
    return {name: [one for one in sets if len(_splits(one)) > 1] for name, sets in spread.items()}


def _gather(records: Sequence[Record], keys: Sequence[str]) -> list[list[Record]]:
    sets: defaultdict[str, list[Record]] = defaultdict(list)
    for record, key in zip(records, keys, strict=True):
        if key:
            sets[key].append(record)
    return [one for one in sets.values() if len(one) > 1]


def _splits(records: Sequence[Record]) -> list[str]:
    held = {record.sample.split for record in records}
    return [split for split in SPLITS if split in held]


def _find_unreadable(records: Sequence[Record]) -> Iterator[Finding]:
    for record in records:
        if not record.is_ok:
            yield Finding("unreadable", WARNING, record.sample.path, "", record.probe.reason)


def _find_duplicates(records: Sequence[Record]) -> Iterator[Finding]:
    for same in _gather(records, [record.probe.sha256 for record in records]):
        first, *others = same
        for other in others:
            yield from _tell_pair(first.sample, other.sample, "duplicate", ERROR, "equal files", "equal files")


def _tell_pair(one: Sample, two: Sample, check: str, severity: str, what: str, both: str) -> Iterator[Finding]:
    """A note on two images of one split, a finding of `severity` on two splits, and a warning on two labels."""
    if one.split == two.split:
        yield Finding(check, NOTE, one.path, two.path, f"{both}, both in {one.split}")
    else:
        text = f"{what} in {one.split} and {two.split}"
        yield Finding(f"{check}_across_splits", severity, one.path, two.path, text)
    if one.label != two.label:
        text = f"{what} labelled {one.label!r} and {two.label!r}"
        yield Finding("label_conflict", WARNING, one.path, two.path, text)


def _find_near_duplicates(records: Sequence[Record], copies: Sequence[NearPair]) -> Iterator[Finding]:
    """Each picture against the first of those that it is a copy of, directly or by a chain.

    Equal files are told elsewhere; but one that is equal to that first, in another split, is told against a copy there.
    """
    pairs = [(pair.first, pair.second) for pair in copies]
    units = join_units([record.probe.sha256 if record.is_ok else "" for record in records], pairs=pairs)
    members: dict[int, list[Record]] = {units[first]: [] for first, _ in pairs}
    for unit, record in zip(units, records, strict=True):
        if unit in members:
            members[unit].append(record)
    for first, *others in members.values():
        for record in others:
            split, digest = record.sample.split, record.probe.sha256
            if digest != first.probe.sha256:
                partner: Record | None = first
            elif split == first.sample.split:
                partner = None
            else:
                unlike = (one for one in others if one.sample.split != split and one.probe.sha256 != digest)
                partner = next(unlike, None)
            if partner is not None:
                pair = partner.sample, record.sample
                yield from _tell_pair(*pair, "near_duplicate", WARNING, "the same picture", "the same picture twice")


def _find_shortcuts(records: Sequence[Record]) -> Iterator[Finding]:
    units = join_units([record.sample.group for record in records], [record.probe.sha256 for record in records])
    for found in find_shortcuts([record.sample.label for record in records], units, [r.probe for r in records]):
        text = (
            f"labels can be told from {found.cue} alone: balanced accuracy {found.balanced_accuracy:.2f} "
            f"(by chance {found.chance:.2f}); a model may learn that instead"
        )
        yield Finding("shortcut", WARNING, "", "", text)


def _find_leaking_groups(records: Sequence[Record]) -> Iterator[Finding]:
    held = {split: {one.sample.group for one in records if one.sample.split == split} - {""} for split in SPLITS}
    for split in (TEST, VAL):
        if known := held[split] & held[TRAIN]:
            text = f"{len(known)} of the {counted(len(held[split]), 'group')} of {split} are also in train"
            yield Finding("group_leakage", ERROR, "", "", text)
    for group in spread_over_splits(records)["groups"]:
        first = group[0].sample
        other = next(one.sample for one in group if one.sample.split != first.split)
        text = f"group {first.group!r} lies in {' and '.join(_splits(group))} ({counted(len(group), 'image')})"
        yield Finding("group_leakage", ERROR, first.path, other.path, text)


def _find_class_sizes(records: Sequence[Record], splits: Sequence[str]) -> Iterator[Finding]:
    sizes = Counter(record.sample.label for record in records)
    held = Counter((record.sample.label, record.sample.split) for record in records)
    for label, size in sorted(sizes.items()):
        parts = ", ".join(f"{split} {held[label, split]}" for split in splits)
        missing = [split for split in splits if not held[label, split]]
        if size < SMALL_CLASS or missing:
            advice = f"none in {', '.join(missing)}" if missing else "its numbers will be rough"
            text = f"class {label!r} has {counted(size, 'image')} ({parts}); {advice}"
            yield Finding("small_class", WARNING, "", "", text)
    if sizes and max(sizes.values()) >= IMBALANCE * min(sizes.values()):
        (most, large), *_, (least, small) = sizes.most_common()
        text = f"{most!r} has {counted(large, 'image')}, {least!r} {small} ({large / small:.1f} to 1)"
        yield Finding("class_imbalance", WARNING, "", "", text)


def _find_lookalike_labels(records: Sequence[Record]) -> Iterator[Finding]:
    labels = sorted({record.sample.label for record in records}, key=lambda label: (_fold(label), label))
    for _, group in groupby(labels, key=_fold):
        names = list(group)
        if len(names) > 1:
            listed = ", ".join(map(repr, names))
            text = f"classes {listed} differ only in case, spaces or accents' encoding; kept apart"
            yield Finding("label_conflict", WARNING, "", "", text)
        elif names[0] != names[0].strip():
            text = f"class {names[0]!r} begins or ends with a space; kept as it is"
            yield Finding("label_conflict", WARNING, "", "", text)


def _fold(label: str) -> str:
    return " ".join(normalize("NFKC", label).casefold().split())


def _find_mixtures(records: Sequence[Record]) -> Iterator[Finding]:
    sizes = [(record.probe.width or 0, record.probe.height or 0) for record in records]
    if len(set(sizes)) > 1:
        widths, heights = sorted(width for width, _ in sizes), sorted(height for _, height in sizes)
        middle = f"{widths[len(widths) // 2]}x{heights[len(heights) // 2]}"
        text = f"{len(set(sizes))} sizes, {widths[0]} to {widths[-1]} pixels wide, median {middle}"
        yield Finding("mixed_sizes", NOTE, "", "", text)
    modes = Counter(record.probe.mode for record in records)
    if len(modes) > 1:
        text = ", ".join(f"{mode} {count}" for mode, count in sorted(modes.items(), key=lambda m: (-m[1], m[0])))
        yield Finding("mixed_modes", NOTE, "", "", f"colour modes: {text}; all read as RGB")


def _find_odd_pictures(records: Sequence[Record]) -> Iterator[Finding]:
    for record in records:
        width, height = record.probe.width or 0, record.probe.height or 0
        if min(width, height) < TINY_SIDE:
            text = f"{width}x{height} pixels; kept and enlarged"
            yield Finding("tiny_image", NOTE, record.sample.path, "", text)
        if record.probe.is_blank:
            yield Finding("blank_image", WARNING, record.sample.path, "", "every pixel has the same colour; kept")


def _find_odd_files(records: Sequence[Record]) -> Iterator[Finding]:
    formats = Counter(record.probe.format for record in records)
    usual = max(sorted(formats), key=lambda name: formats[name], default="")
    with_remark: defaultdict[str, list[str]] = defaultdict(list)
    for record in records:
        for remark in record.probe.remarks:
            with_remark[remark].append(record.sample.path)
    for remark, paths in with_remark.items():
        told = paths if len(paths) <= MOST_ALIKE else paths[:1]
        more = "" if told is paths else f" (and {len(paths) - 1} more)"
        for path in told:
            yield Finding("odd_file", NOTE, path, "", f"{remark}; kept{more}")
    for record in records:
        path, kind = record.sample.path, record.probe.format
        if kind != usual and formats[kind] < RARE_FORMAT * len(records):
            text = f"{kind} file ({formats[kind]} in all) among {formats[usual]} {usual} files; kept, look at it"
            yield Finding("odd_file", WARNING, path, "", text)
        if _PLACEHOLDER.search(path.rsplit("/", 1)[-1]):
            text = f"its name suggests a placeholder, not a picture of {record.sample.label!r}; kept, look at it"
            yield Finding("odd_file", WARNING, path, "", text)


def missing_from_train(records: Sequence[Record], labels: Sequence[str]) -> dict[str, str]:
    """Classes without a usable training image, each with the splits that hold it."""
    held: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.is_ok:
            held[record.sample.label].add(record.sample.split)
    return {label: ", ".join(sorted(held[label])) for label in labels if label in held and TRAIN not in held[label]}
