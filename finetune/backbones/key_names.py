"""From the names in a weights file to those of a network: key maps, prefixes of wrappers, numbered children."""

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from torch import Tensor, nn

from finetune.backbones.weights import Weights
from finetune.errors import WeightsError

_WRAPPERS = (
    *("module", "_orig_mod", "model", "backbone", "encoder", "encoder_q", "base_encoder", "momentum_encoder"),
    *("network", "net", "teacher", "student"),
)
_WRAPPED = re.compile(rf"(?:(?:{'|'.join(_WRAPPERS)})\.)+")
_NUMBERED = re.compile(r"(\d+)\.(.+)")


def apply_key_map(table: Weights, key_map: Mapping[str, str], source: str) -> tuple[Weights, Weights]:
    """Rename the keys that begin with an old prefix of `key_map`, the longest prefix first; (renamed, the others).

    Raises WeightsError when a prefix begins no key, naming the nearest, and when two keys become one.
    """
    longest_first = sorted(key_map, key=len, reverse=True)
    used: set[str] = set()
    renamed: Weights = {}
    others: Weights = {}
    for key, tensor in table.items():
        old = next((prefix for prefix in longest_first if key.startswith(prefix)), None)
        if old is None:
            others[key] = tensor
            continue
        used.add(old)
        new = key_map[old] + key.removeprefix(old)
        if new in renamed or (new in table and not new.startswith(tuple(key_map))):
            raise WeightsError(f"model.key_map makes two keys of {source} one, {new!r}; the second was {key!r}.")
        renamed[new] = tensor
    for old in key_map:
        if old not in used:
            near = ", ".join(_nearest_prefixes(old, table))
            raise WeightsError(f"model.key_map: {old!r} begins no key of {source}; nearest: {near}.")
    return renamed, others


def readings(
    table: Weights, model: nn.Module, head: Collection[str], taken: Collection[str] = ()
) -> Iterator[tuple[str, Weights]]:
    """Every way to read the names of `table`, the plainest first: (prefix left out, renamed table).

    Prefixes of wrappers (`module.`, `backbone.`, also several) are left out; the numbers of a
    Sequential of `model`'s children become their names where every shape but those of `head` fits.
    No key becomes one of `taken`, or one that the table has already.
    """
    used = {*table, *taken}
    for prefix in ["", *_wrapper_prefixes(table)]:
        bare = {(key if (short := key.removeprefix(prefix)) in used else short): table[key] for key in table}
        yield prefix, bare
        named = _name_children(bare, model, head, used)
        if named is not None:
            yield prefix, named


def likely_key_map(table: Weights, expected: Mapping[str, Tensor]) -> dict[str, str]:
    """The key map that makes most names of `table` those of a network; empty where none helps half of them."""
    votes: Counter[str] = Counter()
    for key in table:
        parts = key.split(".")
        tails = (".".join(parts[start:]) for start in range(1, len(parts)))
        votes.update(key.removesuffix(tail) for tail in tails if tail in expected)
    prefix, count = votes.most_common(1)[0] if votes else ("", 0)
    return {prefix: ""} if 2 * count > len(expected) else {}


def _nearest_prefixes(wanted: str, table: Weights) -> list[str]:
    prefixes = {key[: end + 1]: None for key in table for end, letter in enumerate(key) if letter == "."}
    near = difflib.get_close_matches(wanted, [*prefixes, *table], n=3, cutoff=0.4)
    return [repr(name) for name in near or list(table)[:3]]


def _wrapper_prefixes(table: Weights) -> list[str]:
    """Every prefix of wrappers that begins a key, shortest first: `module.` before `module.backbone.`."""
    chains = {found[0] for key in table if (found := _WRAPPED.match(key))}
    parts = {chain[: end + 1] for chain in chains for end, letter in enumerate(chain) if letter == "."}
    return sorted(parts, key=lambda prefix: (len(prefix), prefix))


def _name_children(table: Weights, model: nn.Module, head: Collection[str], used: Collection[str]) -> Weights | None:
    """`table` with `4.0.conv1.weight` named by the fifth child of `model`; None unless each such tensor fits."""
    children = [name for name, _ in model.named_children()]
    expected = model.state_dict()
    named: Weights = {}
    for key, tensor in table.items():
        numbered = _NUMBERED.fullmatch(key)
        if numbered is None:
            named[key] = tensor
            continue
        if int(numbered[1]) >= len(children):
            return None
        name = f"{children[int(numbered[1])]}.{numbered[2]}"
        fits = name in expected and (name in head or expected[name].shape == tensor.shape)
        if not fits or name in table or name in used:
            return None
        named[name] = tensor
    return named if named.keys() != table.keys() else None
