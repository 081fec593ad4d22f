"""A checkpoint is whole or it is not used."""

import json
import resource
from pathlib import Path

import pytest
import torch

from finetune.checkpoint import FORMAT, Checkpoint, CheckpointFolder
from finetune.errors import EnvironmentFault, InputError


def filled(folder: Path, count: int) -> CheckpointFolder:
    checkpoints = CheckpointFolder(folder)
    for number in range(1, count + 1):
        checkpoints.save(number, Checkpoint({"weight": torch.full((4,), float(number))}, {"epoch": number}))
    return checkpoints


def test_the_newest_comes_back_as_it_was(tmp_path: Path) -> None:
    found, lost = filled(tmp_path, 3).load()
    assert found is not None
    assert found.state == {"epoch": 3}
    assert torch.equal(found.tensors["weight"], torch.full((4,), 3.0))
    assert lost == []


def test_only_the_two_newest_are_kept_and_nothing_else_lies_about(tmp_path: Path) -> None:
    (tmp_path / ".00000001.json.77.tmp").write_text("half")
    checkpoints = filled(tmp_path, 5)
    assert checkpoints.numbers() == [4, 5]
    assert len(list(tmp_path.iterdir())) == 4


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert CheckpointFolder(tmp_path).load() == (None, [])


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize("damage", ["flipped", "short", "gone"])
def test_a_damaged_one_is_named_and_the_one_before_it_used(tmp_path: Path, suffix: str, damage: str) -> None:
    checkpoints = filled(tmp_path, 2)
    victim = tmp_path / f"00000002.{suffix}"
    content = victim.read_bytes()
    if damage == "flipped":
        place = content.index(b"epoch") + 8 if suffix == "json" else len(content) - 2
        victim.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    elif damage == "short":
        victim.write_bytes(content[: len(content) // 2])
    else:
        victim.unlink()
    found, lost = checkpoints.load()
    assert found is not None
    assert found.state == {"epoch": 1}
    assert len(lost) == (0 if (suffix, damage) == ("json", "gone") else 1)


def test_a_newer_format_is_refused_by_name(tmp_path: Path) -> None:
    checkpoints = filled(tmp_path, 1)
    record = json.loads((tmp_path / "00000001.json").read_text())
    (tmp_path / "00000001.json").write_text(json.dumps({**record, "format": FORMAT + 1}))
    with pytest.raises(InputError, match=f"format {FORMAT + 1}"):
        checkpoints.load()


def test_a_disk_that_cannot_hold_it_is_an_environment_fault_and_the_earlier_one_stays(tmp_path: Path) -> None:
    checkpoints = filled(tmp_path, 1)
    before = sorted(tmp_path.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # as a full disk does: what is written is cut short
    try:
        with pytest.raises(EnvironmentFault, match=r"00000002\.safetensors cannot be written: .*Free the disk"):
            checkpoints.save(2, Checkpoint({"weight": torch.zeros(100_000)}, {"epoch": 2}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(tmp_path.iterdir()) == before
    found, lost = checkpoints.load()
    assert found is not None
    assert (found.state, lost) == ({"epoch": 1}, [])
