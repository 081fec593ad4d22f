"""The store gives back what was put in, or nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from finetune.errors import EnvironmentFault
from finetune.features import FeatureStore, StoreIdentity

IDENTITY = StoreIdentity(
    images=(("a.png", "1"), ("b.png", "2"), ("c.png", "3")),
    pipeline="p",
    seed=0,
    views=2,
    backbone="resnet18",
    frozen_sha256="f",
    is_folded=False,
    cut=("add",),
    shapes=((4, 2), (3,)),
    dtype="float16",
    batch_size=32,
    threads=2,
    device="cpu",
    versions=(("torch", "2"),),
)


def batches() -> Iterator[tuple[torch.Tensor, ...]]:
    generator = torch.Generator().manual_seed(0)
    for size in (2, 1):
        yield torch.randn(size, 2, 4, 2, generator=generator), torch.randn(size, 2, 3, generator=generator)


def test_features_come_back_in_order_and_in_half_precision(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store")
    store.build(IDENTITY, batches())
    opened = store.open(IDENTITY)
    assert opened is not None
    for index, array in enumerate(opened):
        expected = torch.cat([batch[index] for batch in batches()]).half().numpy()
        assert np.array_equal(array, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"pipeline": "q"},
        {"frozen_sha256": "g"},
        {"threads": 1},
        {"versions": (("torch", "3"),)},
        {"images": (("a.png", "1"), ("b.png", "2"), ("c.png", "4"))},
    ],
)
def test_anything_that_shapes_a_feature_changes_the_key(tmp_path: Path, change: dict[str, object]) -> None:
    store = FeatureStore(tmp_path)
    store.build(IDENTITY, batches())
    assert store.open(replace(IDENTITY, **change)) is None  # type: ignore[arg-type]


def test_a_flipped_bit_or_a_cut_file_is_found(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.build(IDENTITY, batches())
    file = tmp_path / IDENTITY.key / "00.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert store.open(IDENTITY) is None
    file.write_bytes(whole[:-8])
    assert store.open(IDENTITY) is None
    file.write_bytes(whole)
    assert store.open(IDENTITY) is not None


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[torch.Tensor, ...]]:
        yield next(batches())
        raise KeyboardInterrupt

    store = FeatureStore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.build(IDENTITY, broken())
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_store_makes_room_within_the_budget(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, budget_bytes=3 * IDENTITY.size_bytes + 1000)
    identities = [replace(IDENTITY, seed=seed) for seed in range(4)]
    for identity in identities:
        store.build(identity, batches())
    assert store.open(identities[-1]) is not None
    assert store.open(identities[0]) is None


def test_values_that_half_precision_cannot_hold_are_refused_with_the_way_out(tmp_path: Path) -> None:
    huge = iter([(torch.full((3, 2, 4, 2), 1e6), torch.zeros(3, 2, 3))])
    with pytest.raises(EnvironmentFault, match=r"cache\.dtype=fp32"):
        FeatureStore(tmp_path).build(IDENTITY, huge)


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="TAILTUNE_CACHE"):
        FeatureStore(tmp_path / "file").build(IDENTITY, batches())
