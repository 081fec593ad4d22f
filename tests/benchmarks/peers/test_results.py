"""The results file: appended to, read back, and refused where it compares what cannot be compared."""

from pathlib import Path

import pytest

from benchmarks.peers.errors import PeerError
from benchmarks.peers.results import Result, append_result, read_results


def test_results_come_back_as_they_were_written(make_result, tmp_path: Path) -> None:
    made = [make_result("bccd_wbc", tool, 0, 10.5, 0.75) for tool in ("tailtune", "plain")]
    for result in made:
        append_result(tmp_path / "new" / "r.jsonl", result)
    assert read_results(tmp_path / "new" / "r.jsonl") == made
    assert read_results(tmp_path / "absent.jsonl") == []


def write(path: Path, *results: Result) -> Path:
    for result in results:
        append_result(path, result)
    return path


def test_runs_on_different_images_are_refused(make_result, tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.jsonl",
        make_result("bccd_wbc", "tailtune", 0, 10, 0.7),
        make_result("bccd_wbc", "plain", 0, 90, 0.6, manifest_sha256="another"),
    )
    with pytest.raises(PeerError, match="tailtune and plain were run on different images of bccd_wbc, seed 0"):
        read_results(path)


def test_a_run_that_stands_twice_and_a_broken_line_are_refused(make_result, tmp_path: Path) -> None:
    one = make_result("bccd_wbc", "plain", 0, 90, 0.6)
    with pytest.raises(PeerError, match="stands twice"):
        read_results(write(tmp_path / "twice.jsonl", one, one))
    (tmp_path / "broken.jsonl").write_text('{"set": "bccd_wbc"}\n')
    with pytest.raises(PeerError, match=r"broken.jsonl, line 1: no result"):
        read_results(tmp_path / "broken.jsonl")
