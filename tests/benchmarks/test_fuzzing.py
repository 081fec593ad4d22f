"""A sample of what `python -m benchmarks.fuzzing` throws at the readers for minutes."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import fuzzing
from data_tools import DataError


def test_odd_manifests_and_folders_raise_nothing_but_data_errors() -> None:
    for target, inputs in ((fuzzing.read_odd_manifest, fuzzing.manifests), (fuzzing.scan_odd_folder, fuzzing.trees)):
        outcomes: Counter[str] = Counter()
        fuzzing.throw(target, inputs, 100, outcomes)
        assert outcomes.total() >= 50
        assert outcomes["refused"]


def test_sound_input_is_accepted_so_that_the_targets_can_tell() -> None:
    assert fuzzing.read_odd_manifest(b"path,label\na/1.png,cat\n")
    assert fuzzing.scan_odd_folder([([label, f"{n}.png"], "picture") for label in ("cat", "dog") for n in range(3)])


def test_mutated_files_kill_no_reader() -> None:
    outcomes = fuzzing.read_mutated(fuzzing.picture_files(), 150, seed=1)
    assert outcomes["accepted"]
    assert outcomes["refused"] > 50


def test_a_fault_of_a_reader_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(path: Path) -> None:
        if b"trian" in path.read_bytes():
            raise KeyError("trian")
        raise DataError("no")

    monkeypatch.setattr(fuzzing, "read_manifest", break_down)
    with pytest.raises(KeyError, match="trian"):
        fuzzing.throw(fuzzing.read_odd_manifest, fuzzing.manifests, 500, Counter())
