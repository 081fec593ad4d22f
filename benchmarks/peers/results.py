"""The results file: one JSON line a job, only ever appended to."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.peers.errors import PeerError
from benchmarks.peers.jobs import Job, Variant


@dataclass(frozen=True)
class Result:
    """What one job took and reached."""

    set: str
    tool: str
    seed: int
    model: str
    is_pretrained: bool
    policy: str | None
    wall_seconds: float
    """Of the whole process, imports included."""
    start_up_seconds: float
    """Of a process that imports the same and ends."""
    balanced_accuracy: float
    """On the test images."""
    train_images: int
    test_images: int
    views: int
    """Versions of each training image that the tool looked at."""
    epochs: int
    manifest_sha256: str
    versions: dict[str, str]
    settings: dict[str, Any]
    commit: str
    machine: str
    date: str

    @property
    def job(self) -> Job:
        """The job that left this result."""
        return Job(self.set, self.tool, self.seed, Variant(self.model, self.is_pretrained, self.policy))

    @property
    def net_seconds(self) -> float:
        """Wall time without start-up."""
        return self.wall_seconds - self.start_up_seconds


def append_result(path: Path, result: Result) -> None:
    """Add one line to the results file."""
    results.append_result(path, asdict(result))


def read_results(path: Path) -> list[Result]:
    """Every result of the file, none where there is no file yet.

    Raises PeerError where a line is no result, a job stands twice, or one cut is told in two ways: such results
    cannot be compared.
    """
    found: list[Result] = []
    for number, record in enumerate(results.read_results(path), start=1):
        try:
            found.append(Result(**record))
        except TypeError as error:
            raise PeerError(f"{path}, line {number}: no result ({error}); take the line out") from error
    _check_comparable(path, found)
    return found


def _check_comparable(path: Path, found: list[Result]) -> None:
    cuts: dict[tuple[str, int], Result] = {}
    seen: set[tuple[str, str, int, str]] = set()
    for result in found:
        if result.job.key in seen:
            raise PeerError(f"{path}: {result.job.key} stands twice; take one line out")
        seen.add(result.job.key)
        first = cuts.setdefault((result.set, result.seed), result)
        if first.manifest_sha256 != result.manifest_sha256:
            raise PeerError(
                f"{path}: {first.tool} and {result.tool} were run on different images of {result.set}, "
                f"seed {result.seed}; run one of them again"
            )
