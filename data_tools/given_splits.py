"""Give images the splits that a saved table tells, such as the dataset.csv of an earlier run."""

from dataclasses import replace
from pathlib import Path

from data_tools.columns import PATH, SPLIT
from data_tools.errors import DataError, faults_error
from data_tools.layouts import split_named
from data_tools.manifest import normalise_path
from data_tools.samples import Source
from data_tools.tables import read_table
from data_tools.wording import counted


def assign_splits(source: Source, path: Path | None) -> Source:
    """The source with the splits of a table with columns `path,split`, in place of those that the data bring.

    An empty split is that of an image that was skipped. Raises DataError for a word that is no split, for a path told
    twice with two splits, and for images that the table does not know.
    """
    if path is None:
        return source
    table = read_table(path)
    if missing := [name for name in (PATH, SPLIT) if name not in table.columns]:
        raise DataError(
            f"{path.name}: column {missing[0]!r} is missing; expected path,split, found {','.join(table.columns)}"
        )
    told: dict[str, str] = {}
    faults = []
    for line, row in table.rows:
        place, given = normalise_path(row[PATH]), row[SPLIT].strip()
        split = split_named(given) or ""
        if given and not split:
            faults.append(f"line {line}: {given!r} is not a split (train, val, test)")
        elif told.setdefault(place, split) != split:
            faults.append(f"line {line}: {place!r} has split {split!r}, but also {told[place]!r}")
    if faults:
        raise faults_error(path.name, faults)
    if unknown := [sample.path for sample in source.samples if sample.path not in told]:
        raise DataError(
            f"{path.name}: {counted(len(unknown), 'image')} of {source.name} without a row (e.g. {unknown[0]}); "
            "add them, or cut anew with --resplit instead"
        )
    return replace(source, samples=tuple(replace(one, split=told[one.path]) for one in source.samples))
