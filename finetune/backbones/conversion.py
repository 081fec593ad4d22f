"""timm's own conversion of weights files: original names of a paper's code, other patch and window sizes."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import timm
from timm.models import _builder
from torch import nn

from finetune.backbones.weights import Weights

Convert = Callable[[Weights, nn.Module], Weights]

_UNCONVERTIBLE = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def create_with_conversion(name: str, options: Mapping[str, Any]) -> tuple[nn.Module, Convert]:
    """The timm model `name` as it is built for pretrained weights, still random, and timm's conversion for it.

    The conversion leaves a table alone that it cannot make sense of.
    """
    with _conversion_instead_of_loading() as seen:
        model = timm.create_model(name, pretrained=True, **options)
    own = next(iter(seen), None)

    def convert(table: Weights, network: nn.Module) -> Weights:
        if own is None:
            return table
        takes_model = len(inspect.signature(own).parameters) > 1
        try:
            return dict(own(dict(table), network) if takes_model else own(dict(table)))
        except _UNCONVERTIBLE:  # what timm's filters raise on the names or shapes of another network
            return table

    return model, convert


@contextmanager
def _conversion_instead_of_loading() -> Iterator[list[Callable[..., Weights]]]:
    """Collects the `pretrained_filter_fn` that timm hands to its loading, and loads nothing.

    timm names the conversion of an architecture nowhere else, and its loading stops at the first misfit.
    """
    seen: list[Callable[..., Weights]] = []
    loading = _builder.load_pretrained

    def remember(*_: object, filter_fn: Callable[..., Weights] | None = None, **__: object) -> None:
        if filter_fn is not None:
            seen.append(filter_fn)

    _builder.load_pretrained = remember
    try:
        yield seen
    finally:
        _builder.load_pretrained = loading
