"""States of a training on disk: safetensors and JSON, each with a checksum, never half written."""

from finetune.checkpoint.folder import FORMAT, Checkpoint, CheckpointFolder
from finetune.checkpoint.pacing import SAVE_SHARE, SavePace

__all__ = ["FORMAT", "SAVE_SHARE", "Checkpoint", "CheckpointFolder", "SavePace"]
