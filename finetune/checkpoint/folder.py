"""The checkpoints of one run: the newest whole one is found by its number, never by the clock."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from data_tools.private import make_private_folder
from finetune.errors import InputError
from finetune.files import file_sha256, json_text, unwritable, write_bytes, written_aside

FORMAT = 2
_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and everything else as JSON."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


class CheckpointFolder:
    """Numbered pairs `<number>.safetensors` and `<number>.json`; a pair counts once its JSON is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, number: int, checkpoint: Checkpoint) -> None:
        """Write checkpoint `number`, and remove all but the two newest.

        Not synced to the disk, which would take longer than many an epoch: a power failure may tear the newest
        ones, which then do not fit their checksums.

        Raises EnvironmentFault when the disk cannot hold it; the earlier ones stay.
        """
        make_private_folder(self.folder)
        tensors_sha256 = _write_tensors(self._tensors(number), checkpoint.tensors)
        record = {
            "format": FORMAT,
            "number": number,
            "tensors_sha256": tensors_sha256,
            "state_sha256": _state_sha256(checkpoint.state),
            "state": checkpoint.state,
        }
        content = json_text(record).encode("utf-8", errors="surrogateescape")
        write_bytes(self._record(number), content, is_synced=False)
        for old in self.numbers()[:-_KEPT]:
            self._record(old).unlink()
        self._remove_orphans()

    def load(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint, and a sentence for each newer one that is damaged.

        Raises InputError for one that a newer version of tailtune wrote.
        """
        lost: list[str] = []
        for number in reversed(self.numbers()):
            try:
                return self._load(number), lost
            except (OSError, ValueError, KeyError, SafetensorError) as error:
                lost.append(f"Checkpoint {number} is damaged ({type(error).__name__}: {error}); an older one is used.")
        return None, lost

    def numbers(self) -> list[int]:
        """The numbers of all checkpoints, rising."""
        return sorted(int(file.stem) for file in self.folder.glob("*.json") if file.stem.isdigit())

    def _load(self, number: int) -> Checkpoint:
        record = json.loads(self._record(number).read_text(encoding="utf-8"))
        if record["format"] > FORMAT:
            raise InputError(
                f"{self._record(number)} has format {record['format']}, this tailtune reads up to {FORMAT}; "
                "resume with the version that wrote it, or start again with --overwrite."
            )
        if _state_sha256(record["state"]) != record["state_sha256"]:
            raise ValueError("its state does not fit its checksum")
        content = self._tensors(number).read_bytes()
        if hashlib.sha256(content).hexdigest() != record["tensors_sha256"]:
            raise ValueError("its tensors do not fit their checksum")
        return Checkpoint(load(content), record["state"])

    def _remove_orphans(self) -> None:
        kept = {self._tensors(number) for number in self.numbers()}
        for file in [*self.folder.glob("*.safetensors"), *self.folder.glob(".*.tmp")]:
            if file not in kept:
                file.unlink(missing_ok=True)

    def _tensors(self, number: int) -> Path:
        return self.folder / f"{number:08d}.safetensors"

    def _record(self, number: int) -> Path:
        return self.folder / f"{number:08d}.json"


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write a file of tensors aside and put it in place; its sha256. No copy of them all is made in memory."""
    try:
        with written_aside(path) as aside:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, aside)
            return file_sha256(aside)
    except (OSError, SafetensorError) as error:
        raise unwritable(path, getattr(error, "strerror", None) or error) from error


def _state_sha256(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True, allow_nan=False).encode()).hexdigest()
