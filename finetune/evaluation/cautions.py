"""Plain sentences about what the numbers of an evaluation cannot tell."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.counts import Counts

_SMALL_CLASS = 10
_FEW_GROUPS = 10
_NAMES_SHOWN = 5
_FEW_WRONG = 5


def find_cautions(
    labels: Sequence[str], counts: Counts, groups_per_class: NDArray[np.float64], groups: int
) -> tuple[str, ...]:
    """What a reader must know before believing the numbers, worst first."""
    images = counts.images
    absent = [label for label, n in zip(labels, images, strict=True) if n == 0]
    small = [label for label, n in zip(labels, images, strict=True) if 0 < n < _SMALL_CLASS]
    uncalled = [label for label, n, c in zip(labels, images, counts.calls, strict=True) if n and not c]
    present = len(labels) - len(absent)
    sentences = []
    if absent:
        sentences.append(
            f"No image to judge {_names(absent)} by: "
            f"averages over classes are over the other {present} of {len(labels)}."
        )
    if uncalled:
        sentences.append(f"The model never answered {_names(uncalled)}.")
    if small:
        sentences.append(f"Fewer than {_SMALL_CLASS} images to judge {_names(small)} by: expect very wide intervals.")
    if groups < _FEW_GROUPS:
        whole = "one group" if groups == 1 else f"{groups} groups"
        sentences.append(f"The images come from {whole}: intervals say little about new groups.")
    elif (few := [name for name, n in zip(labels, groups_per_class, strict=True) if n == 1]) and groups < images.sum():
        sentences.append(f"All images of {_names(few)} come from one group.")
    wrong = int(images.sum() - counts.hits.sum())
    if 0 < wrong < _FEW_WRONG:
        answers = f"{wrong} answer is" if wrong == 1 else f"{wrong} answers are"
        sentences.append(f"Only {answers} wrong: the intervals of log loss and Brier score rest on little.")
    return tuple(sentences)


def _names(labels: Sequence[str]) -> str:
    shown = ", ".join(f"'{label}'" for label in labels[:_NAMES_SHOWN])
    more = len(labels) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
