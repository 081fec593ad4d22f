"""How much of a weights file fits a network, and the filling of that network."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from torch import Tensor, nn

from finetune.backbones.conversion import Convert
from finetune.backbones.key_names import apply_key_map, likely_key_map, readings
from finetune.backbones.weights import Weights
from finetune.errors import WeightsError

_LEAST_SHARE = 0.9
_MOST_SURPLUS = 0.1
_NAMED = 3


@dataclass(frozen=True)
class WeightsFit:
    """What a weights file brought to a network; the head is new and left out of the counts.

    Counted are the floating-point tensors of the network: integer buffers may be absent. Names
    are those of the network, as far as they could be translated; `converted` are names of the
    file whose tensors timm's own conversion merged or left out.
    """

    source: str
    model: str
    prefix: str
    expected: int
    loaded: int
    missing: tuple[str, ...]
    other_shape: tuple[str, ...]
    unknown: tuple[str, ...]
    surplus: tuple[str, ...]
    head: tuple[str, ...]
    converted: tuple[str, ...]

    @property
    def is_enough(self) -> bool:
        """Whether 90 % of the network's tensors loaded."""
        return self.loaded >= _LEAST_SHARE * self.expected

    @property
    def is_of_another_network(self) -> bool:
        """Whether the file holds many more tensors inside the network's own modules, such as deeper stages."""
        return len(self.surplus) > _MOST_SURPLUS * self.expected

    @property
    def sentence(self) -> str:
        """The share that loaded, and how many tensors did not, with the first names."""
        return f"{self.source}: {self._share} loaded, the head is new{self._rest}."

    @property
    def refusal(self) -> str:
        """The same for a file that does not fit."""
        needed = "" if self.is_enough else f", at least {100 * _LEAST_SHARE:g} % needed"
        more = f"; {len(self.surplus)} of the unknown lie in modules of {self.model}: the file is of another network"
        return (
            f"{self.source} does not fit {self.model}: {self._share} loaded{needed}{self._rest}"
            f"{more if self.is_of_another_network else ''}."
        )

    @property
    def _share(self) -> str:
        tenths = math.floor(1000 * self.loaded / self.expected)
        return f"{self.loaded} of {self.expected} tensors of {self.model} ({tenths / 10:g} %)"

    @property
    def _rest(self) -> str:
        parts = [
            f"{len(names)} {what} ({', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''})"
            for names, what in (
                (self.missing, "missing"),
                (self.other_shape, "of another shape"),
                (self.unknown, "unknown"),
            )
            if names
        ]
        return f"; {', '.join(parts)}" if parts else ""

    def record(self) -> dict[str, object]:
        """Everything as JSON: the counts, and every tensor that was not loaded, by kind."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class _Origin:
    """What a reading is of: file, model, and the prefix left out."""

    source: str
    model: str
    prefix: str


@dataclass(frozen=True)
class _Reading:
    """One way to read a file: what of it fits, and the account of the rest."""

    fit: WeightsFit
    fitting: Weights


def fill_model(
    model: nn.Module,
    table: Weights,
    convert: Convert,
    head: Collection[str],
    *,
    source: str,
    name: str,
    key_map: Mapping[str, str],
) -> WeightsFit:
    """Load `table` into `model` but for the tensors named in `head`, in the reading that loads most.

    What `key_map` renames is taken as it says; prefixes of wrappers and numbered children are
    found in the other keys. Each reading passes through timm's own conversion, `convert`.

    Raises WeightsError when the file is of another network, or `key_map` is wrong; `model` is then unchanged.
    """
    mapped, others = apply_key_map(table, key_map, source)
    ways = ((prefix, mapped | reading) for prefix, reading in readings(others, model, head, mapped))
    best = max(
        (_compare(way, convert(way, model), model, head, _Origin(source, name, prefix)) for prefix, way in ways),
        key=lambda reading: reading.fit.loaded,
    )
    if best.fit.is_of_another_network or not best.fit.is_enough:
        guess = likely_key_map(table, model.state_dict()) if not key_map else {}
        hint = json.dumps(guess or {"old.": "new."}, ensure_ascii=False)
        raise WeightsError(
            f"{best.fit.refusal} If the file names the same tensors otherwise, say how: --set model.key_map='{hint}'."
        )
    model.load_state_dict(best.fitting, strict=False)
    return best.fit


def _compare(table: Weights, converted: Weights, model: nn.Module, head: Collection[str], origin: _Origin) -> _Reading:
    """Sort every tensor of network and file by whether it fits."""
    state = model.state_dict()
    body = {name: tensor for name, tensor in state.items() if name not in head}
    fitting = {name: tensor for name, tensor in converted.items() if name in body and _is_alike(body[name], tensor)}
    counted = [name for name, tensor in body.items() if tensor.is_floating_point()]
    unknown = [name for name in converted if name not in state]
    filled = {name.partition(".")[0] for name in counted if "." in name}
    kept = {id(tensor) for tensor in converted.values()}
    fit = WeightsFit(
        source=origin.source,
        model=origin.model,
        prefix=origin.prefix,
        expected=len(counted),
        loaded=sum(name in fitting for name in counted),
        missing=tuple(name for name in counted if name not in converted),
        other_shape=tuple(name for name in converted if name in body and name not in fitting),
        unknown=tuple(unknown),
        surplus=tuple(
            name for name in unknown if name.partition(".")[0] in filled and converted[name].is_floating_point()
        ),
        head=tuple(name for name in converted if name in head),
        converted=tuple(name for name in table if name not in converted and id(table[name]) not in kept),
    )
    return _Reading(fit, fitting)


def _is_alike(expected: Tensor, found: Tensor) -> bool:
    return expected.shape == found.shape and expected.is_floating_point() == found.is_floating_point()
