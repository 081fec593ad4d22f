"""States of a training on disk: safetensors and JSON, each with a checksum, never half written."""

from finetune.checkpoint.folder import FORMAT, Checkpoint, CheckpointFolder

__all__ = ["FORMAT", "Checkpoint", "CheckpointFolder"]
