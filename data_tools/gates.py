"""Refuse data that cannot train an honest classifier, saying what to do instead."""

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from shlex import quote

from data_tools.auditing import Record, missing_from_train
from data_tools.columns import ERROR
from data_tools.errors import DataError, faults_error
from data_tools.samples import Finding, Source
from data_tools.settings import DatasetSettings
from data_tools.wording import counted

_SHOWN = 3
_CLASSES_SHOWN = 12


def check_classes(source: Source, images: Counter[str], given: Path) -> None:
    """Two classes at least, each with a usable image."""
    name = f"{source.name}/" if given.is_dir() else source.name
    if len(source.labels) == 1:
        label = source.labels[0]
        advice = "list a second class"
        if given.is_dir():
            parent = given.parent if given.name else given.resolve().parent
            advice = f"is DATA one level too deep? Try: finetune run {parent}"
        raise DataError(
            f"{name} holds one class ({label!r}, {counted(images[label], 'image')}); "
            f"two are needed to train a classifier. {advice[0].upper()}{advice[1:]}"
        )
    listed = Counter(sample.label for sample in source.samples)
    faults = [
        f"class {label!r} has no usable image ({listed[label]} unreadable, such as "
        f"{next(s.path for s in source.samples if s.label == label)}); replace them or take the class out"
        if listed[label]
        else f"class {label!r} is empty: its folder holds no image; fill it or remove it"
        for label in source.labels
        if not images[label]
    ]
    if faults:
        raise faults_error(name, faults)


def check_known(source: Source, known: Sequence[str]) -> None:
    """No class but those that a trained network knows."""
    images = Counter(sample.label for sample in source.samples)
    listed = ", ".join(map(repr, known[:_CLASSES_SHOWN])) + (", ..." if len(known) > _CLASSES_SHOWN else "")
    faults = []
    for label in source.labels:
        if label not in known:
            near = get_close_matches(label, known, n=1)
            meant = f"did you mean {near[0]!r}? Else take it out" if near else "rename it or take it out"
            what = f"class {label!r} ({counted(images[label], 'image')})"
            faults.append(f"{what} is none that the network knows ({listed}); {meant}")
    if faults:
        raise faults_error(source.name, faults)


def check_any(source: Source, records: Sequence[Record]) -> None:
    """At least one image can be read."""
    if not any(record.is_ok for record in records):
        seen = f" ({counted(len(records), 'file')}, such as {records[0].sample.path})" if records else ""
        raise DataError(f"{source.name}: holds no image that can be read{seen}; there is nothing to judge")


def check_skipped(source: Source, records: Sequence[Record]) -> None:
    """Under `strict` no image may be skipped."""
    faults = [f"{one.sample.path}: {one.probe.reason}" for one in records if not one.is_ok]
    if faults:
        raise faults_error(f"{source.name} (strict)", faults)


def check_training_classes(source: Source, records: Sequence[Record]) -> None:
    """Every class can be learned: it has a usable image in train."""
    given = {label: {one.split for one in source.samples if one.label == label} - {""} for label in source.labels}
    faults = [
        f"class {label!r} has images in {', '.join(sorted(given[label])) or splits} but none in train; "
        "add some, or cut anew with --resplit"
        for label, splits in missing_from_train(records, source.labels).items()
    ]
    if faults:
        raise faults_error(source.name, faults)


def check_leakage(source: Source, findings: Sequence[Finding], settings: DatasetSettings) -> None:
    """No error finding but those that the settings allow."""
    stopping = [one for one in findings if one.severity == ERROR and one.check not in settings.allow]
    faults = []
    for check in sorted({one.check for one in stopping}):
        found = [one for one in stopping if one.check == check and one.path]
        if check == "group_leakage":
            sums = "".join(f"; {one.detail}" for one in stopping if one.check == check and not one.path)
            what = f"{counted(len(found), 'group')} in more than one split{sums}"
        else:
            what = f"{counted(len(found), 'pair')} of equal files in different splits"
        remedy = f"cut anew with --resplit{_group_option(settings)}"
        pairs = "; ".join(f"{one.path} and {one.other_path}" for one in found[:_SHOWN])
        faults.append(f"{check}: {what} (e.g. {pairs}); {remedy}, or go on with --allow {check}")
    if faults:
        raise faults_error(source.name, faults)


def _group_option(settings: DatasetSettings) -> str:
    metadata = f" --metadata {quote(str(settings.metadata))}" if settings.metadata else ""
    group = f" --group {quote(settings.group)}" if settings.group else ""
    return metadata + group
