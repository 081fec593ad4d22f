"""What a user may ask of the data: groups, splits, strictness."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from data_tools.columns import CHECKS
from data_tools.errors import DataError
from data_tools.scaling import BITS, Scaling


@dataclass(frozen=True)
class DatasetSettings:
    """How a source becomes a dataset. Raises DataError when a value is out of range or unknown."""

    metadata: Path | None = None
    """A CSV joined to the images on its `path` (or `file`) column."""
    group: str | None = None
    """What must not be split apart: a column, or a regular expression with one capture group."""
    resplit: bool = False
    """Ignore the splits that the data bring and cut anew."""
    test_fraction: float = 0.25
    """Share of the images held out for the report."""
    val_fraction: float = 0.15
    """Share of the images that choose the epoch; of `train` where only that part is cut."""
    splits: Path | None = None
    """A CSV with columns `path,split`, such as an earlier run's dataset.csv: these splits, whatever the data bring."""
    join_near_duplicates: bool = False
    """Pictures that are copies of each other go to the same split, though their files differ."""
    scaling: Scaling = BITS
    """How 16-bit and float values become 256 levels."""
    seed: int = 0
    """Seed of the cut."""
    strict: bool = False
    """Refuse data in which any image is skipped."""
    further: tuple[str, ...] = ()
    """Columns of manifest or metadata that the table of images takes along."""
    allow: tuple[str, ...] = ()
    """Error findings that do not stop the run, by name."""
    known_labels: tuple[str, ...] | None = None
    """The classes of a network that is trained already: every image is held out to judge it, whatever splits the data
    bring; no other class may occur, and not each of them must."""

    def __post_init__(self) -> None:
        for name in self.allow:
            if name not in CHECKS:
                near = get_close_matches(name, CHECKS, n=1, cutoff=0.0)[0]
                raise DataError(f"allow: {name!r} is not a finding; did you mean {near!r}?")
        if self.splits is not None and self.resplit:
            raise DataError("data.splits gives the splits and data.resplit asks for new ones; leave one of them out")
        if not 0 < self.test_fraction < 1:
            raise DataError(f"data.test_fraction: must lie between 0 and 1, got {self.test_fraction}")
        if not 0 <= self.val_fraction < 1:
            raise DataError(f"data.val_fraction: must be 0 or lie between 0 and 1, got {self.val_fraction}")
        if self.test_fraction + self.val_fraction >= 1:
            total = self.test_fraction + self.val_fraction
            raise DataError(f"data.test_fraction + data.val_fraction leave nothing to train on ({total:g})")
