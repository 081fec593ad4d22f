"""A small store and a trunk made of arithmetic; as a program, a process that builds and then reads it.

python -m tests.finetune.features.builder ROOT LOG [PAUSE]
writes a line to LOG for every batch that it computes, and `built` when all is there. After the
line PAUSE it waits until there is a file LOG.go.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from finetune.features import FeatureStore, StoreIdentity

BATCH = 4
SHARD_BYTES = 8 * (2 * 4 * 2 + 2 * 3) * 2
"""Two batches."""

IDENTITY = StoreIdentity(
    images=tuple((f"{number}.png", str(number)) for number in range(30)),
    pipeline="p",
    seed=0,
    views=2,
    backbone="resnet18",
    frozen_sha256="f",
    is_folded=False,
    arithmetic="fp32",
    made_from="",
    cut=("add",),
    shapes=((4, 2), (3,)),
    dtype="float16",
    batch_size=2 * BATCH,
    threads=2,
    device="cpu",
    versions=(("torch", "2"),),
)


def open_store(root: Path, budget_bytes: int | None = None) -> FeatureStore:
    """A store with shards of two batches: 8 images, four shards."""
    return FeatureStore(root, budget_bytes, SHARD_BYTES)


def features_of(images: range) -> tuple[torch.Tensor, ...]:
    """What the trunk makes of images: (images, 2, 4, 2) and (images, 2, 3), different in every number."""
    number = torch.tensor(list(images), dtype=torch.float32)
    many = torch.arange(16).reshape(2, 4, 2) + 16 * number.reshape(-1, 1, 1, 1)
    few = torch.arange(6).reshape(2, 3) - 6 * number.reshape(-1, 1, 1)
    return many, few


def compute(images: range, seen: Callable[[range], None] = lambda batch: None) -> Iterator[tuple[torch.Tensor, ...]]:
    """The trunk over some images, batch by batch; `seen` is told of each batch before it is handed out."""
    for start in range(images.start, images.stop, BATCH):
        batch = range(start, min(start + BATCH, images.stop))
        seen(batch)
        yield features_of(batch)


def _main(root: str, log: str, pause: str = "") -> None:
    def note(line: str) -> None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        while line == pause and not Path(f"{log}.go").exists():
            time.sleep(0.01)

    def trunk(images: range) -> Iterator[tuple[torch.Tensor, ...]]:
        return compute(images, lambda batch: note(str(batch.start)))

    features = open_store(Path(root)).build(IDENTITY, trunk, say=note)
    note("built")
    assert len(features) == 2


if __name__ == "__main__":
    _main(*sys.argv[1:])
