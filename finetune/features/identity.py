"""What shapes a feature, and the key under which features are kept."""

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

FORMAT = 4
"""Part of every key; rises when the same identity would be computed, or lie on disk, in another way."""


def images_at_once(views: int, views_per_batch: int) -> int:
    """Images of one batch: whole ones, all their views together, at least one."""
    return max(1, views_per_batch // views)


@dataclass(frozen=True)
class StoreIdentity:
    """Everything that shapes a feature; equal identities give equal bytes."""

    images: tuple[tuple[str, str], ...]
    pipeline: str
    seed: int
    views: int
    backbone: str
    frozen_sha256: str
    is_folded: bool
    arithmetic: str
    """`bf16`, `fp16`, `fp32` or `fp64`."""
    made_from: str
    """Key of the stored features that these are made of; empty where they are made of images."""
    cut: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtype: str
    batch_size: int
    threads: int
    device: str
    versions: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """sha256 of the identity, in hexadecimal."""
        content = {"format": FORMAT, **asdict(self)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def part(self, places: Sequence[int]) -> "StoreIdentity":
        """The same for some of the images."""
        return replace(self, images=tuple(self.images[place] for place in places))

    @property
    def array_shapes(self) -> list[tuple[int, ...]]:
        """Shape of each stored array: (images, views, ...)."""
        return [(len(self.images), self.views, *shape) for shape in self.shapes]

    @property
    def size_bytes(self) -> int:
        """Size of all arrays on disk."""
        width = np.dtype(self.dtype).itemsize
        return sum(width * int(np.prod(shape, dtype=np.int64)) for shape in self.array_shapes)

    @property
    def description(self) -> str:
        """The same for people, in one line."""
        views = f"{self.views} view{'' if self.views == 1 else 's'}"
        return f"{self.backbone}, {len(self.images)} images, {views}, {self.dtype}, cut at {', '.join(self.cut)}"


def describe_device(device: torch.device) -> str:
    """The device and what its arithmetic depends on: a CPU's vector instructions, the model of a GPU."""
    if device.type == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        return f"{device} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return str(device)
