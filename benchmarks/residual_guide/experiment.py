"""What every experiment of the guide has: a way to measure, and a table of what was measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Record


@dataclass(frozen=True)
class Request:
    """Where figures go, what the comparison of policies is made on, and how much of all is done."""

    figures: Path
    data: Path | None = None
    weights: str = "embedded"
    is_brief: bool = False
    """Little of everything, to see that it works: no numbers for the page."""


@dataclass(frozen=True)
class Experiment:
    """`measure` draws its figures and gives its rows; `compose` makes the table of them, where there is one."""

    measure: Callable[[Request], list[Record]]
    compose: Callable[[Sequence[Record]], str] | None = None
    needs_data: bool = False
