"""Give every sample its group: from a column of manifest or metadata, or from its path."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from data_tools.columns import PATH, WARNING
from data_tools.errors import DataError, faults_error
from data_tools.manifest import normalise_path
from data_tools.samples import Finding, Sample, Source
from data_tools.tables import read_table
from data_tools.wording import counted

JOIN_COLUMNS = (PATH, "file")

Columns = dict[str, dict[str, str]]


def assign_groups(source: Source, metadata: Path | None, group: str | None) -> Source:
    """The source with `group` filled in and the columns of `metadata`; an image without a group stays on its own ("").

    `group` names a column (of `metadata` first, then of the manifest) or is a regular expression with exactly
    one capture group, searched in the relative path. Without it a manifest's own `group` column counts.
    """
    columns = dict(source.columns)
    if metadata is not None:
        columns.update(_join_metadata(metadata, [sample.path for sample in source.samples]))
        source = replace(source, columns=columns)
    if group is None:
        return source
    if group in columns:
        values = columns[group]
        if absent := [sample.path for sample in source.samples if sample.path not in values]:
            name = metadata.name if metadata else source.name
            raise DataError(
                f"{name}: {counted(len(absent), 'image')} without a row, "
                f"so without {group!r} (e.g. {absent[0]}); add them or take them out of {source.name}"
            )
        found = [values[sample.path].strip() for sample in source.samples]
    else:
        found = _match_paths(_compile(group, columns), source)
    samples = tuple(replace(sample, group=value) for sample, value in zip(source.samples, found, strict=True))
    return replace(source, samples=samples, findings=source.findings + _tell_ungrouped(group, samples))


def _join_metadata(path: Path, paths: Sequence[str]) -> Columns:
    table = read_table(path)
    key = next((name for name in JOIN_COLUMNS if name in table.columns), None)
    if key is None:
        raise DataError(f"{path.name}: no column to join on; expected path or file, found {','.join(table.columns)}")
    rows: dict[str, tuple[int, dict[str, str]]] = {}
    faults = []
    for line, row in table.rows:
        place = normalise_path(row[key])
        earlier, known = rows.setdefault(place, (line, row))
        if {**known, key: ""} != {**row, key: ""}:
            faults.append(f"line {line}: {place!r} stands with other values on line {earlier}")
    if faults:
        raise faults_error(path.name, faults)
    if not any(place in rows for place in paths):
        example, wanted = next(iter(rows)), paths[0] if paths else "class/image.jpg"
        raise DataError(
            f"{path.name}: none of its rows names an image of the data ({example!r} is no such path); "
            f"column {key!r} must hold paths relative to DATA, such as {wanted!r}"
        )
    return {name: {place: row[name] for place, (_, row) in rows.items()} for name in table.columns if name != key}


def _compile(group: str, columns: Iterable[str]) -> re.Pattern[str]:
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise DataError(f"group: {group!r} is no column and no regular expression: {error}") from error
    if pattern.groups == 1:
        return pattern
    if pattern.groups == 0 and re.fullmatch(r"[\w .-]+", group):
        near = get_close_matches(group, columns, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"columns: {', '.join(columns) or 'none'}"
        raise DataError(f"group: {group!r} is no column and no pattern with one capture group; {hint}")
    raise DataError(f"group: {group!r} has {pattern.groups} capture groups; exactly one is needed")


def _match_paths(pattern: re.Pattern[str], source: Source) -> list[str]:
    matches = [pattern.search(sample.path) for sample in source.samples]
    groups = [(match.group(1) or "") if match else "" for match in matches]
    if not any(groups):
        example = source.samples[0].path if source.samples else ""
        raise DataError(f"group: {pattern.pattern!r} matches no path (the first is {example!r})")
    return groups


def _tell_ungrouped(group: str, samples: Sequence[Sample]) -> tuple[Finding, ...]:
    bare = [sample.path for sample in samples if not sample.group]
    if not bare:
        return ()
    text = f"{counted(len(bare), 'image')} without a group by {group!r}; each stands on its own"
    return (Finding("group_leakage", WARNING, bare[0], "", text),)
