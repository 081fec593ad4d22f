"""List a folder of images: `DATA/<class>/...` or `DATA/{train,val,test}/<class>/...`."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_tools.columns import NOTE, SPLITS, TRAIN, WARNING
from data_tools.errors import DataError
from data_tools.layouts import LAYOUT_HINT, escape_name, has_image_suffix, is_junk, is_text, split_named
from data_tools.samples import Finding, Sample, Source
from data_tools.wording import counted


@dataclass
class _Leftovers:
    """What a scan walked past, to be told in the findings."""

    junk: int = 0
    outside_classes: list[str] = field(default_factory=list)
    other_suffixes: Counter[str] = field(default_factory=Counter)
    links: list[str] = field(default_factory=list)
    unlistable: list[str] = field(default_factory=list)


def scan_folder(folder: Path, *, is_held_out: bool = False) -> Source:
    """Every image of a folder, sorted by path, with its label and, where folders give it, its split.

    A folder below a class belongs to that class, however deep. Linked folders are not entered; linked files
    count where they stay inside `folder`. Raises DataError for a layout in which no classes can be found, or for
    splits without a train part, unless all `is_held_out`.
    """
    root = folder.resolve()
    left = _Leftovers()
    parts, ignored = _find_parts(root, left, is_held_out)
    samples: list[Sample] = []
    labels: set[str] = set()
    for part, split in parts:
        for entry in _entries(part, left):
            if _is_folder(entry, root, left):
                if not is_text(entry.name):
                    raise DataError(f"{escape_name(entry.path)}: a class name must be valid UTF-8; rename the folder")
                labels.add(entry.name)
                samples += _scan_class(Path(entry.path), entry.name, split, root, left)
            elif has_image_suffix(entry.name):
                left.outside_classes.append(_relative(entry.path, root))
            else:
                _count_other(entry, left)
    if not labels:
        raise DataError(_no_classes_message(folder, left))
    if root not in (part for part, _ in parts):
        _count_beside(root, left)
    findings = _tell_leftovers(left) + [_tell_ignored(path, root) for path in ignored]
    ordered = tuple(sorted(samples, key=lambda sample: sample.path))
    return Source(str(root), folder.name or root.name, ordered, tuple(sorted(labels)), {}, tuple(findings))


def _find_parts(root: Path, left: _Leftovers, is_held_out: bool) -> tuple[list[tuple[Path, str]], list[Path]]:
    """The folders that hold class folders, with their split, and the folders that are left out."""
    folders = [
        Path(entry.path) for entry in _listing(root, left) if not is_junk(entry.name) and _leads_to_folder(entry)
    ]
    named = [(path, split) for path in folders if (split := split_named(path.name)) and _holds_folders_only(path)]
    if not named:
        return [(root, "")], []
    if TRAIN not in (split for _, split in named):
        if len(named) < len(folders):
            return [(root, "")], []
        if is_held_out:
            return named, []
        names = ", ".join(path.name for path, _ in named)
        raise DataError(f"{root.name}/ holds {names} but no train folder. {LAYOUT_HINT}")
    parts = [path for path, _ in named]
    return named, [path for path in folders if path not in parts]


def _holds_folders_only(folder: Path) -> bool:
    """Whether a folder holds folders and no image: so looks a split, not a class that is called `train`."""
    entries = [entry for entry in _listing(folder, _Leftovers()) if not is_junk(entry.name)]
    return any(_leads_to_folder(entry) for entry in entries) and not any(
        has_image_suffix(entry.name) and not _leads_to_folder(entry) for entry in entries
    )


def _scan_class(folder: Path, label: str, split: str, root: Path, left: _Leftovers) -> Iterator[Sample]:
    for entry in _entries(folder, left):
        if _is_folder(entry, root, left):
            yield from _scan_class(Path(entry.path), label, split, root, left)
        elif has_image_suffix(entry.name):
            path = _relative(entry.path, root)
            if not is_text(path):
                yield Sample(escape_name(path), label, split, reason="name is not valid UTF-8; rename it")
            else:
                yield Sample(path, label, split, reason=_link_fault(entry, root))
        else:
            _count_other(entry, left)


def _entries(folder: Path, left: _Leftovers) -> Iterator[os.DirEntry[str]]:
    for entry in _listing(folder, left):
        if is_junk(entry.name):
            left.junk += 1
        else:
            yield entry


def _listing(folder: Path, left: _Leftovers) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        left.unlistable.append(f"{escape_name(folder.name)}/ cannot be listed: {error.strerror}")
        return []


def _is_folder(entry: os.DirEntry[str], root: Path, left: _Leftovers) -> bool:
    if not entry.is_symlink():
        return entry.is_dir()
    if _leads_to_folder(entry):
        left.links.append(_relative(entry.path, root))
    return False


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _link_fault(entry: os.DirEntry[str], root: Path) -> str:
    if not entry.is_symlink():
        return ""
    target = Path(os.path.realpath(entry.path))
    if not target.exists():
        return "link leads nowhere"
    return "" if target.is_relative_to(root) else "link leads outside the data folder"


def _count_other(entry: os.DirEntry[str], left: _Leftovers) -> None:
    if not _leads_to_folder(entry):
        left.other_suffixes[os.path.splitext(entry.name)[1].lower() or "no ending"] += 1


def _count_beside(root: Path, left: _Leftovers) -> None:
    """Count the files that lie beside the split folders."""
    for entry in _entries(root, left):
        if not _leads_to_folder(entry):
            if has_image_suffix(entry.name):
                left.outside_classes.append(_relative(entry.path, root))
            else:
                _count_other(entry, left)


def _relative(path: str, root: Path) -> str:
    return Path(path).relative_to(root).as_posix()


def _tell_leftovers(left: _Leftovers) -> list[Finding]:
    findings = [Finding("odd_file", WARNING, "", "", text) for text in left.unlistable]
    findings += [Finding("odd_file", NOTE, escape_name(path), "", "linked folder; not entered") for path in left.links]
    if left.junk:
        findings.append(
            Finding("odd_file", NOTE, "", "", f"{counted(left.junk, 'file')} ignored: hidden, or left by a system")
        )
    if left.other_suffixes:
        kinds = ", ".join(f"{escape_name(kind)} {count}" for kind, count in sorted(left.other_suffixes.items()))
        count = left.other_suffixes.total()
        findings.append(Finding("odd_file", NOTE, "", "", f"{counted(count, 'file')} ignored: no images ({kinds})"))
    if left.outside_classes:
        count = len(left.outside_classes)
        text = f"{counted(count, 'file')} ignored: images outside every class folder"
        findings.append(Finding("odd_file", WARNING, escape_name(left.outside_classes[0]), "", text))
    return findings


def _tell_ignored(folder: Path, root: Path) -> Finding:
    count = sum(has_image_suffix(name) for _, _, names in os.walk(folder) for name in names)
    text = f"{counted(count, 'image')} left out: only {', '.join(SPLITS)} and their synonyms are read"
    return Finding("ignored_folder", NOTE, escape_name(_relative(str(folder), root)), "", text)


def _no_classes_message(folder: Path, left: _Leftovers) -> str:
    name = folder.name or str(folder)
    if left.outside_classes:
        return f"{name}/ holds {counted(len(left.outside_classes), 'image')} but no class folders. {LAYOUT_HINT}"
    if left.unlistable:
        return left.unlistable[0]
    return f"{name}/ holds no class folders and no images. {LAYOUT_HINT}"
