"""Read a CSV manifest with columns `path,label` and optionally `group,split`."""

import posixpath
from difflib import get_close_matches
from pathlib import Path, PurePosixPath, PureWindowsPath

from data_tools.columns import GROUP, LABEL, NOTE, PATH, SPLIT, WARNING
from data_tools.errors import DataError, faults_error
from data_tools.layouts import SPLIT_OF_NAME, split_named
from data_tools.samples import Finding, Sample, Source
from data_tools.tables import Table, read_table

_SEPARATORS = {";": "semicolons", "\t": "tabs"}


def read_manifest(path: Path) -> Source:
    """Every image of a manifest, sorted by path. Paths are relative to the manifest's folder.

    Raises DataError that tells every faulty line at once.
    """
    table = read_table(path)
    missing = [name for name in (PATH, LABEL) if name not in table.columns]
    if missing:
        raise DataError(
            f"{path.name}: column {missing[0]!r} is missing; expected path,label, found {','.join(table.columns)}"
        )
    root = path.resolve().parent
    lines: dict[str, tuple[int, Sample]] = {}
    faults: list[str] = []
    findings = _tell_separator(table)
    for line, row in table.rows:
        sample, fault = _read_row(row, root)
        if fault:
            faults.append(f"line {line}: {fault}")
        elif sample.path in lines:
            earlier, known = lines[sample.path]
            if known == sample:
                text = f"listed on lines {earlier} and {line}; counted once"
                findings.append(Finding("odd_file", WARNING, sample.path, "", text))
            else:
                faults.append(f"line {line}: {_contradiction(known, sample)} (first on line {earlier})")
        else:
            lines[sample.path] = (line, sample)
    faults += _half_filled_splits(lines)
    cased, told = _judge_cases(lines)
    faults += cased
    findings += told
    if faults:
        raise faults_error(path.name, faults)
    samples = tuple(sample for _, (_, sample) in sorted(lines.items()))
    labels = tuple(sorted({sample.label for sample in samples}))
    return Source(str(root), path.name, samples, labels, _extra_columns(table), tuple(findings))


def normalise_path(text: str) -> str:
    """A relative path in one spelling: forward slashes, no `.`, no doubled slash."""
    return posixpath.normpath(text.replace("\\", "/"))


def _read_row(row: dict[str, str], root: Path) -> tuple[Sample, str]:
    text, label, given = row[PATH], row[LABEL], row.get(SPLIT, "").strip()
    split = split_named(given) or ""
    sample = Sample(normalise_path(text), label, split, row.get(GROUP, ""))
    if not text.strip():
        return sample, "the path is empty"
    if not label.strip():
        return sample, f"the label of {text!r} is empty"
    if "|" in label:
        return sample, f"the label {label!r} seems to name several classes; give each image one (task multiclass)"
    if given and not split:
        near = get_close_matches(given.lower(), SPLIT_OF_NAME, n=1, cutoff=0.0)[0]
        return sample, f"{given!r} is not a split (train, val, test); did you mean {near!r}?"
    return sample, _path_fault(text, sample.path, root)


def _path_fault(text: str, path: str, root: Path) -> str:
    is_absolute = PurePosixPath(path).is_absolute() or PureWindowsPath(text).drive
    if "://" in text or path.startswith("file:") or is_absolute or path.split("/")[0] == "..":
        return f"{text!r} leads outside the folder of the manifest; give paths relative to it"
    try:
        target = root / path
        if not target.is_file():
            return f"{text!r} is not a file in {root.name}/"
        if not target.resolve().is_relative_to(root):
            return f"{text!r} is a link that leads outside the folder of the manifest"
    except OSError as error:
        return f"{text[:80]!r} cannot be opened: {error.strerror}"
    return ""


def _tell_separator(table: Table) -> list[Finding]:
    if table.separator == ",":
        return []
    text = f"{table.name}: cells are separated by {_SEPARATORS[table.separator]}, and were read so"
    return [Finding("odd_file", NOTE, "", "", text)]


def _judge_cases(lines: dict[str, tuple[int, Sample]]) -> tuple[list[str], list[Finding]]:
    """Paths that differ in upper and lower case alone: faults where their labels differ, else warnings.

    On the disks of Windows and macOS they are one file.
    """
    faults, findings, first = list[str](), list[Finding](), dict[str, str]()
    for path, (line, sample) in sorted(lines.items(), key=lambda item: item[1][0]):
        other = first.setdefault(path.casefold(), path)
        if other == path:
            continue
        earlier, known = lines[other]
        text = f"{path!r} and {other!r} (line {earlier}) differ in case alone"
        if known.label != sample.label:
            faults.append(f"line {line}: {text} but have labels {sample.label!r} and {known.label!r}; rename one")
        else:
            findings.append(Finding("odd_file", WARNING, path, other, f"{text}; kept apart"))
    return faults, findings


def _contradiction(known: Sample, sample: Sample) -> str:
    for name in (LABEL, SPLIT, GROUP):
        before, now = getattr(known, name), getattr(sample, name)
        if before != now:
            return f"{sample.path!r} has {name} {now!r}, but also {before!r}"
    return f"{sample.path!r} is listed twice"


def _half_filled_splits(lines: dict[str, tuple[int, Sample]]) -> list[str]:
    bare = [line for line, sample in lines.values() if not sample.split]
    if not bare or len(bare) == len(lines):
        return []
    return [f"line {line}: no split, though other lines have one; fill all or none" for line in bare]


def _extra_columns(table: Table) -> dict[str, dict[str, str]]:
    return {
        name: {normalise_path(row[PATH]): row[name] for _, row in table.rows}
        for name in table.columns
        if name not in (PATH, LABEL, SPLIT)
    }
