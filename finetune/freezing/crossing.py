"""What the values are that cross a cut: features of an image, tensors that are always the same, or numbers."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from finetune.errors import FreezeError


@dataclass(frozen=True)
class Feature:
    """A tensor with `rows` rows for each image, images in order: (batch * rows, ...)."""

    shape: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Fixed:
    """A tensor that depends on the size of the image and not on its content, such as position encodings."""

    tensor: Tensor


@dataclass(frozen=True)
class Numbers:
    """A number, or a nest of numbers, as seen for a batch of two and for one of three."""

    of_two: Any
    of_three: Any


Seen = Feature | Fixed | Numbers


def see_values(trunk: nn.Module, names: Sequence[str], example: Tensor) -> list[Seen]:
    """What each output of `trunk` is, found by running it on two images and on three, the two swapped.

    Raises FreezeError, naming the value, where one is random, mixes the images of a batch, or is
    not made of floating-point numbers: then it cannot be kept for an image. On the meta device,
    where there are no values, shapes alone decide.
    """
    swapped = torch.cat([example[1:2], example[:1], example[:1].flip(-1)])
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        of_two = tuple(value.clone() if isinstance(value, Tensor) else value for value in trunk(example[:2]))
        torch.manual_seed(1)
        of_three = trunk(swapped)
    return [_see(name, two, three) for name, two, three in zip(names, of_two, of_three, strict=True)]


def _see(name: str, two: Any, three: Any) -> Seen:
    if not isinstance(two, Tensor):
        return Numbers(two, three)
    if two.shape == three.shape and (two.is_meta or torch.equal(two, three)):
        return Fixed(two)
    if two.ndim == 0 or two.shape[0] % 2 or two.shape[0] * 3 != three.shape[0] * 2 or two.shape[1:] != three.shape[1:]:
        raise FreezeError(f"the value {name} that would cross the cut has no batch dimension in front")
    if not two.is_floating_point():
        raise FreezeError(f"the value {name} that would cross the cut is {str(two.dtype).removeprefix('torch.')}")
    rows = two.shape[0] // 2
    if not two.is_meta and not _is_same_image_by_image(two, three, rows):
        raise FreezeError(f"the value {name} that would cross the cut is random or mixes the images of a batch")
    return Feature(tuple(two.shape[1:]) if rows == 1 else (rows, *two.shape[1:]), rows)


def _is_same_image_by_image(two: Tensor, three: Tensor, rows: int) -> bool:
    """Whether the rows of two images are those they have, swapped, in a batch of three; rounding differs a little."""
    back = torch.cat([three[rows : 2 * rows], three[:rows]])
    tolerance = 1e-8 if two.dtype == torch.float64 else 1e-3
    return bool((two - back).abs().max() <= tolerance * two.abs().max())


def rebuild_numbers(graph: fx.Graph, first: fx.Node, name: str, seen: Numbers) -> Any:
    """The numbers as a tail can know them: constants, or multiples of the batch size of its `first` feature."""
    small, large = seen.of_two, seen.of_three
    if isinstance(small, (tuple, list)) and isinstance(large, (tuple, list)):
        pairs = zip(small, large, strict=True)
        return tuple(rebuild_numbers(graph, first, name, Numbers(one, other)) for one, other in pairs)
    if isinstance(small, Tensor):
        raise FreezeError(f"the value {name} that would cross the cut is a tuple of tensors")
    if small == large:
        return small
    if not isinstance(small, int) or not isinstance(large, int) or large * 2 != small * 3:
        raise FreezeError(f"the value {name} that would cross the cut depends on the batch in an unknown way")
    return graph.call_function(operator.mul, (graph.call_method("size", (first, 0)), small // 2))
