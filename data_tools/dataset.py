"""Prepare a dataset: list, group, read, cut, audit; one table comes out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import pandas as pd

from data_tools.auditing import Record, audit_records, sort_findings, spread_over_splits
from data_tools.cifar import holds_batches, scan_batches
from data_tools.columns import (
    DATASET_COLUMNS,
    FINDING_COLUMNS,
    HEIGHT,
    NOTE,
    OK,
    SKIPPED,
    SPLIT,
    SPLITS,
    STATUS,
    TEST,
    WIDTH,
)
from data_tools.copies import find_copies
from data_tools.errors import DataError
from data_tools.further_columns import read_further
from data_tools.gates import check_any, check_classes, check_known, check_leakage, check_skipped, check_training_classes
from data_tools.given_splits import assign_splits
from data_tools.grouping import assign_groups
from data_tools.keeping import Keeping
from data_tools.layouts import LAYOUT_HINT
from data_tools.manifest import read_manifest
from data_tools.parting import part_records
from data_tools.probing import probe_images
from data_tools.progress import Track, untracked
from data_tools.samples import Finding, Probe, Source
from data_tools.scaling import BITS, Scaling
from data_tools.scanning import scan_folder
from data_tools.settings import DatasetSettings
from data_tools.settling import settle_scaling


@dataclass(frozen=True, eq=False)
class Dataset:
    """Checked images with their labels, groups and splits."""

    root: Path
    """Folder to which the paths of `table` are relative."""
    table: pd.DataFrame
    """One row per image, skipped ones too; columns DATASET_COLUMNS and `settings.further`, sorted by path."""
    labels: tuple[str, ...]
    """Class names, sorted as text; the target of a label is its place here."""
    findings: pd.DataFrame
    """The audit; columns FINDING_COLUMNS, errors first."""
    held_out_note: str
    """One sentence: where the held-out test part comes from."""
    spread: tuple[tuple[str, int], ...]
    scaling: Scaling = BITS
    """How deep values become levels, worked out where the recipe leaves it to the training images."""

    def part(self, split: str) -> pd.DataFrame:
        """The usable images of one split, in the order of the table, with a fresh index."""
        rows = self.table[(self.table[STATUS] == OK) & (self.table[SPLIT] == split)]
        return rows.reset_index(drop=True)

    def leakage(self) -> dict[str, int]:
        """How many sets of equal files, and how many groups, lie in more than one split."""
        return dict(self.spread)


def prepare_dataset(
    source: Path,
    settings: DatasetSettings,
    *,
    workers: int = 0,
    keeping: Keeping | None = None,
    track: Track = untracked,
    is_audit: bool = False,
) -> Dataset:
    """The dataset that `source` (a folder or a CSV manifest) holds; the same for any number of workers.

    With `keeping`, decoded pixels are kept, and what is kept is not decoded; the dataset is the same. `is_audit` looks
    on where a run must not: at leaks, at skipped images under `strict`, at classes that train lacks.

    Raises DataError, all faults at once, when the source cannot be read, a class has no usable image or, where
    `settings.known_labels` are told, is none of them, or the audit finds an error that `settings.allow` does not name.
    """
    known = settings.known_labels
    listed = assign_groups(_list_source(source, known is not None, track), settings.metadata, settings.group)
    listed = assign_splits(listed, settings.splits)
    further = read_further(listed, settings.further)
    if known is None:
        check_classes(listed, Counter(sample.label for sample in listed.samples), source)
    else:
        check_known(listed, known)
    records = _probe_source(listed, settings.scaling, workers, keeping, track)
    if known is None:
        check_classes(listed, Counter(record.sample.label for record in records if record.is_ok), source)
    else:
        check_any(listed, records)
    if settings.strict and not is_audit:
        check_skipped(listed, records)
    copies = find_copies(records, track)
    records, note = part_records(records, settings, copies if settings.join_near_duplicates else ())
    scaling, told = settle_scaling(records, settings.scaling)
    if not is_audit and known is None:
        check_training_classes(listed, records)
    splits = SPLITS if known is None else (TEST,)
    rule = Finding("split_rule", NOTE, "", "", note)
    findings = sort_findings([*listed.findings, *audit_records(records, copies, splits), *told, rule])
    if not is_audit:
        check_leakage(listed, findings, settings)
    spread = {name: len(sets) for name, sets in spread_over_splits(records).items()}
    return Dataset(
        root=Path(listed.root),
        table=_tabulate(records).assign(**further),
        labels=listed.labels,
        findings=pd.DataFrame([astuple(one) for one in findings], columns=list(FINDING_COLUMNS), dtype=str),
        held_out_note=note,
        spread=tuple((f"{name}_across_splits", count) for name, count in spread.items()),
        scaling=scaling,
    )


def _list_source(source: Path, is_held_out: bool, track: Track) -> Source:
    try:
        if source.is_dir():
            if holds_batches(source):
                return scan_batches(source, is_held_out=is_held_out, track=track)
            return scan_folder(source, is_held_out=is_held_out)
        if source.is_file():
            if source.suffix.lower() != ".csv":
                raise DataError(f"{source}: is neither a folder nor a .csv manifest. {LAYOUT_HINT}")
            return read_manifest(source)
    except OSError as error:
        raise DataError(f"{source}: cannot be opened: {error.strerror or error}") from error
    raise DataError(f"{source}: no such folder or file; check the spelling of DATA")


def _probe_source(
    source: Source, scaling: Scaling, workers: int, keeping: Keeping | None, track: Track
) -> list[Record]:
    opened = [sample for sample in source.samples if not sample.reason]
    paths = [Path(source.root) / sample.path for sample in opened]
    made = probe_images(paths, scaling=scaling, workers=workers, keeping=keeping, track=track)
    probes = dict(zip(opened, made, strict=True))
    return [
        Record(replace(sample, reason=""), probes.get(sample) or Probe(reason=sample.reason))
        for sample in source.samples
    ]


def _tabulate(records: Sequence[Record]) -> pd.DataFrame:
    rows = [
        (
            record.sample.path,
            record.sample.label,
            record.sample.group,
            record.sample.split,
            OK if record.is_ok else SKIPPED,
            record.probe.reason,
            record.probe.sha256,
            record.probe.width,
            record.probe.height,
            record.probe.mode,
        )
        for record in records
    ]
    table = pd.DataFrame(rows, columns=list(DATASET_COLUMNS))
    return table.astype({name: "Int64" if name in (WIDTH, HEIGHT) else "str" for name in DATASET_COLUMNS})
