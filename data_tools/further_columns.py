"""Take further columns of manifest or metadata along, such as site or sex, so that a report can part images by them."""

from collections.abc import Sequence
from difflib import get_close_matches

from data_tools.columns import DATASET_COLUMNS
from data_tools.errors import DataError
from data_tools.samples import Source

Values = dict[str, list[str]]


def read_further(source: Source, names: Sequence[str]) -> Values:
    """For each column its value of every sample, in their order; "" for an image that the table does not tell of.

    Raises DataError, all faults at once, for a column that neither manifest nor metadata has, naming the nearest, and
    for one that is called like a column of dataset.csv.
    """
    faults = [fault for name in names if (fault := _fault(name, source))]
    if faults:
        raise DataError("; ".join(faults))
    told = {name: source.columns[name] for name in names}
    return {name: [values.get(sample.path, "").strip() for sample in source.samples] for name, values in told.items()}


def _fault(name: str, source: Source) -> str:
    if name in DATASET_COLUMNS:
        return f"the column {name!r} is one of dataset.csv itself and cannot be taken along; rename it in your table"
    if name in source.columns:
        return ""
    known = [column for column in source.columns if column not in DATASET_COLUMNS]
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"columns: {', '.join(known) or 'none; give a table: --metadata'}"
    return f"no column {name!r} in manifest or metadata to part images by; {hint}"
