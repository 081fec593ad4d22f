"""Networks that look at one channel: grey images without two copies of themselves."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from data_tools import Preprocessing
from finetune.backbones.weights import Weights
from finetune.errors import InputError

_COLOURS = 3


def narrow_input(model: Any, name: str) -> None:
    """Make the first convolution take one channel, in place: its weights for three colours are summed, as timm does.

    One that takes one channel already is left alone. Raises InputError for a network that begins otherwise.
    """
    for place, layer in _first_layers(model):
        weight = getattr(layer, "weight", None)
        if weight is None or weight.dim() < 4 or weight.shape[1] not in (1, _COLOURS):
            raise InputError(
                f"{name} does not begin with a convolution over colours ({place}); leave model.channels 3."
            )
        if weight.shape[1] == _COLOURS:
            layer.weight = nn.Parameter(weight.detach().sum(dim=1, keepdim=True))
            layer.in_channels = 1
    model.in_chans = 1  # timm asks it when a model is saved


def input_channels(model: nn.Module) -> int:
    """How many channels the network takes."""
    weights = [getattr(layer, "weight", None) for _, layer in _first_layers(model)]
    return (
        1 if any(weight is not None and weight.dim() == 4 and weight.shape[1] == 1 for weight in weights) else _COLOURS
    )


def takes_one_channel(table: Weights, model: nn.Module) -> bool:
    """Whether the weights of a file are of a network of one channel."""
    ends = tuple(f"{place}.weight" for place, _ in _first_layers(model))
    return any(name.endswith(ends) and tensor.dim() == 4 and tensor.shape[1] == 1 for name, tensor in table.items())


def in_grey(preprocessing: Preprocessing) -> Preprocessing:
    """The same for one channel: the mean of the three means and deviations."""
    mean, std = (sum(values) / len(values) for values in (preprocessing.mean, preprocessing.std))
    return replace(preprocessing, mean=(mean,), std=(std,))


def _first_layers(model: nn.Module) -> Iterator[tuple[str, Any]]:
    config: Any = getattr(model, "pretrained_cfg", {})
    named = config.get("first_conv") or ()
    for place in (named,) if isinstance(named, str) else named:
        yield place, model.get_submodule(place)
