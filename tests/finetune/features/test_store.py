"""The store gives back what was put in, computes what is missing and nothing else, and keeps to its budget."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.errors import EnvironmentFault
from finetune.features import Features, FeatureStore, StoreIdentity
from tests.finetune.features.builder import BATCH, IDENTITY, compute, features_of, open_store

ROOT = Path(__file__).parents[3]


def entry_of(root: Path, identity: StoreIdentity = IDENTITY) -> Path:
    return root / "features" / identity.key


def assert_right(features: Features | None, images: int = 30) -> None:
    assert features is not None
    rows = np.repeat(np.arange(images), 2)
    views = np.tile(np.arange(2), images)
    for array, expected in zip(features, features_of(range(images)), strict=True):
        assert array.shape == tuple(expected.shape)
        assert array.dtype == np.float16
        assert np.array_equal(array[rows, views], expected.half().numpy()[rows, views])


class Counted:
    """The trunk, and the batches that it was run over."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.sizes: list[int] = []

    def __call__(self, images: range) -> Iterator[tuple[torch.Tensor, ...]]:
        def seen(batch: range) -> None:
            self.starts.append(batch.start)
            self.sizes.append(len(batch))

        return compute(images, seen)


def bytes_of(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(entry_of(root).iterdir()) if path.is_file()}


def test_features_come_back_in_order_and_in_half_precision(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    assert store.open(IDENTITY) is None
    assert_right(store.build(IDENTITY, compute))
    assert_right(store.open(IDENTITY))
    assert len(list(entry_of(tmp_path / "store").glob("*.bin"))) == 4


def test_the_files_take_what_the_identity_foretells(tmp_path: Path) -> None:
    open_store(tmp_path).build(IDENTITY, compute)
    assert sum(path.stat().st_size for path in entry_of(tmp_path).glob("*.bin")) == IDENTITY.size_bytes


def test_a_second_build_computes_nothing(tmp_path: Path) -> None:
    open_store(tmp_path).build(IDENTITY, compute)
    again = Counted()
    assert_right(open_store(tmp_path).build(IDENTITY, again))
    assert again.starts == []


@pytest.mark.parametrize("batches", range(9))
def test_after_a_stop_the_missing_shards_are_computed_and_the_bytes_are_the_same(tmp_path: Path, batches: int) -> None:
    def stopped(images: range) -> Iterator[tuple[torch.Tensor, ...]]:
        for number, features in enumerate(compute(images)):
            if number == batches:
                raise KeyboardInterrupt
            yield features
        raise KeyboardInterrupt

    open_store(tmp_path / "whole").build(IDENTITY, compute)
    store, told = open_store(tmp_path / "parts"), list[str]()
    with pytest.raises(KeyboardInterrupt):
        store.build(IDENTITY, stopped)
    assert not list(entry_of(tmp_path / "parts").glob(".*.tmp"))
    rest = Counted()
    assert_right(store.build(IDENTITY, rest, say=told.append))
    kept = batches // 2
    assert rest.starts == list(range(8 * kept, 30, BATCH))
    assert told == (
        [f"{kept} of 4 shards of features are there from an earlier run; the trunk makes the others."]
        if 0 < kept < 4
        else []
    )
    assert bytes_of(tmp_path / "parts") == bytes_of(tmp_path / "whole")


def flip(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def garble_record(path: Path) -> None:
    path.with_suffix(".json").write_text("[]")


@pytest.mark.parametrize("harm", [flip, shorten, garble_record])
def test_a_harmed_shard_is_found_and_computed_alone_in_the_batches_it_had(tmp_path: Path, harm: object) -> None:
    store, told = open_store(tmp_path), list[str]()
    store.build(IDENTITY, compute)
    before = bytes_of(tmp_path)
    assert store.open(IDENTITY) is not None
    harm(entry_of(tmp_path) / "00001.bin")
    assert store.open(IDENTITY) is None
    again = Counted()
    assert_right(store.build(IDENTITY, again, say=told.append))
    assert (again.starts, again.sizes) == ([8, 12], [BATCH, BATCH])
    assert told == ["1 of 4 shards of stored features does not fit the checksum and is computed anew."]
    assert bytes_of(tmp_path) == before
    assert_right(store.open(IDENTITY))


@settings(max_examples=25, deadline=None)
@given(
    images=st.integers(1, 24),
    batch_size=st.integers(1, 12),
    shard_bytes=st.integers(1, 2000),
    lost=st.sets(st.integers(0, 23)),
)
def test_any_layout_gives_whole_batches_and_only_lost_shards_are_computed(
    tmp_path_factory: pytest.TempPathFactory, images: int, batch_size: int, shard_bytes: int, lost: set[int]
) -> None:
    root = tmp_path_factory.mktemp("store")
    identity = replace(IDENTITY, images=IDENTITY.images[:1] * images, batch_size=batch_size)
    per_batch = max(1, batch_size // identity.views)
    ran: list[range] = []

    def trunk(order: range) -> Iterator[tuple[torch.Tensor, ...]]:
        for start in range(order.start, order.stop, per_batch):
            ran.append(range(start, min(start + per_batch, order.stop)))
            yield features_of(ran[-1])

    store = FeatureStore(root, shard_bytes=shard_bytes)
    assert_right(store.build(identity, trunk), images)
    all_batches, shards = list(ran), sorted(entry_of(root, identity).glob("*.bin"))
    ran.clear()
    gone = [shard for number, shard in enumerate(shards) if number in lost]
    for shard in gone:
        shard.unlink()
    assert_right(store.build(identity, trunk), images)
    assert set(ran) <= set(all_batches)
    assert bool(ran) == bool(gone)
    if len(gone) < len(shards):
        assert len(ran) < len(all_batches)


def test_a_trunk_that_hands_out_too_few_or_too_many_images_is_no_entry(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(RuntimeError):
        store.build(IDENTITY, lambda images: compute(range(images.start, images.stop - 5)))
    with pytest.raises(ValueError, match="past the end"):
        open_store(tmp_path).build(IDENTITY, lambda images: compute(range(images.start, images.stop + 2)))
    assert store.open(IDENTITY) is None


def test_what_was_used_longest_ago_makes_room_and_what_is_half_built_goes_first(tmp_path: Path) -> None:
    identities = [replace(IDENTITY, seed=seed) for seed in range(5)]
    open_store(tmp_path).build(identities[0], compute)
    size = sum(path.stat().st_size for path in entry_of(tmp_path, identities[0]).glob("*") if path.is_file())
    store = open_store(tmp_path, budget_bytes=3 * size)
    for identity in identities[1:3]:
        store.build(identity, compute)
    use_in_order(tmp_path, identities[:3])
    (entry_of(tmp_path, identities[2]) / "00002.json").unlink()
    store.build(identities[3], compute)
    assert [entry_of(tmp_path, identity).exists() for identity in identities] == [True, True, False, True, False]
    use_in_order(tmp_path, [identities[1], identities[0], identities[3]])
    store.build(identities[4], compute)
    assert [entry_of(tmp_path, identity).exists() for identity in identities] == [True, False, False, True, True]
    use_in_order(tmp_path, [identities[0], identities[3], identities[4]])
    assert store.open(identities[0]) is not None
    store.build(identities[1], compute)
    assert [entry_of(tmp_path, identity).exists() for identity in identities] == [True, True, False, False, True]


def use_in_order(root: Path, identities: list[StoreIdentity]) -> None:
    for age, identity in enumerate(identities):
        os.utime(entry_of(root, identity), (1000 + age, 1000 + age))


def test_features_that_someone_holds_are_not_evicted(tmp_path: Path) -> None:
    store = open_store(tmp_path, budget_bytes=IDENTITY.size_bytes)
    held = store.build(IDENTITY, compute)
    other, third = replace(IDENTITY, seed=1), replace(IDENTITY, seed=2)
    store.build(other, compute)
    assert_right(store.open(IDENTITY))
    assert store.open(other) is not None
    del held
    store.build(third, compute)
    assert not entry_of(tmp_path).exists()


def test_values_that_half_precision_cannot_hold_are_refused_with_the_way_out(tmp_path: Path) -> None:
    def huge(images: range) -> Iterator[tuple[torch.Tensor, ...]]:
        yield torch.full((8, 2, 4, 2), 1e6), torch.zeros(8, 2, 3)

    with pytest.raises(EnvironmentFault, match=r"cache\.dtype=fp32"):
        open_store(tmp_path).build(IDENTITY, huge)


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="TAILTUNE_CACHE"):
        open_store(tmp_path / "file").build(IDENTITY, compute)
    assert open_store(tmp_path / "file").open(IDENTITY) is None


FULL_DISK = """
import resource, sys
from pathlib import Path
from finetune.errors import EnvironmentFault
from tests.finetune.features.builder import IDENTITY, compute, open_store
store = open_store(Path(sys.argv[1]))
seen = []
def limited(images):
    for features in compute(images, seen.append):
        if len(seen) == 4:  # the second half of the second shard
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
        yield features
try:
    store.build(IDENTITY, limited)
except EnvironmentFault as error:
    print(error)
"""


def test_a_full_disk_is_an_environment_fault_and_whole_shards_stay(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cannot hold the features" in done.stdout
    assert [path.name for path in sorted(entry_of(tmp_path).glob("*.bin"))] == ["00000.bin"]
    assert not list(entry_of(tmp_path).glob(".*.tmp"))
    rest = Counted()
    assert_right(open_store(tmp_path).build(IDENTITY, rest))
    assert rest.starts[0] == 8
