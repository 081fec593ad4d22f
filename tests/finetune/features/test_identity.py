"""Whatever shapes a feature is in its key."""

from dataclasses import fields, replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from finetune.features import StoreIdentity, describe_device
from finetune.features import identity as module
from tests.finetune.features.builder import IDENTITY

WORDS = st.text(max_size=8)
PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=3).map(tuple)
VALUES = {
    "images": PAIRS,
    "versions": PAIRS,
    "cut": st.lists(WORDS, max_size=3).map(tuple),
    "shapes": st.lists(st.lists(st.integers(1, 9), max_size=3).map(tuple), max_size=3).map(tuple),
    "is_folded": st.booleans(),
    "arithmetic": st.sampled_from(["bf16", "fp16", "fp32", "fp64"]),
    "dtype": st.sampled_from(["float16", "float32", "float64"]),
    **dict.fromkeys(("seed", "views", "batch_size", "threads"), st.integers(0, 2**32)),
    **dict.fromkeys(("pipeline", "backbone", "frozen_sha256", "device", "made_from"), WORDS),
}
IDENTITIES = st.builds(StoreIdentity, **VALUES)


def test_every_field_has_values_here() -> None:
    assert {field.name for field in fields(StoreIdentity)} == set(VALUES)
    assert len(VALUES) == 16


@given(identity=IDENTITIES, name=st.sampled_from(sorted(VALUES)), data=st.data())
def test_a_change_of_any_one_field_changes_the_key(identity: StoreIdentity, name: str, data: st.DataObject) -> None:
    other = data.draw(VALUES[name].filter(lambda value: value != getattr(identity, name)))
    assert replace(identity, **{name: other}).key != identity.key
    assert replace(identity).key == identity.key


def test_the_format_is_in_the_key(monkeypatch) -> None:
    before = IDENTITY.key
    monkeypatch.setattr(module, "FORMAT", module.FORMAT + 1)
    assert before != IDENTITY.key


def test_the_device_names_what_its_arithmetic_depends_on() -> None:
    assert describe_device(torch.device("cpu")).endswith(torch.backends.cpu.get_cpu_capability())


def test_the_description_says_what_people_want_to_know() -> None:
    assert IDENTITY.description == "resnet18, 30 images, 2 views, float16, cut at add"
