"""The records that travel from the scan to the table: samples, probes, findings."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One row of the data audit; the fields are the columns of findings.csv."""

    check: str
    severity: str
    path: str = ""
    other_path: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Sample:
    """One image as the source lists it: no byte of it has been read yet."""

    path: str
    label: str
    split: str = ""
    group: str = ""
    reason: str = ""
    """Why it must not even be opened, or empty."""


@dataclass(frozen=True)
class Probe:
    """What reading one image once has told; `reason` is empty where it decoded in full."""

    sha256: str = ""
    width: int | None = None
    height: int | None = None
    mode: str = ""
    format: str = ""
    reason: str = ""
    is_blank: bool = False
    remarks: tuple[str, ...] = ()
    bytes: int = 0
    """Size of the file."""
    quantiles: tuple[float, ...] = ()
    """Of deep values (more than 8 bits), evenly spaced from the least to the largest; empty for 8-bit images."""
    sketch: str = ""
    """The picture in small (data_tools/sketches.py)."""


@dataclass(frozen=True)
class Source:
    """A folder or manifest, listed: samples sorted by path, and what the listing noticed."""

    root: str
    name: str
    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    """Every class that the source names, those without images too."""
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    """Extra columns of a manifest: column -> path -> value."""
    findings: tuple[Finding, ...] = ()
