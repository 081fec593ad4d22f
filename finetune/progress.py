"""How the library tells that it is getting on, without ever printing."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Track(Protocol):
    """Wraps an iterable so that someone may watch it: (items, description, total) -> items."""

    def __call__(self, items: Iterable[Item], description: str, total: int, /) -> Iterable[Item]: ...


def untracked(items: Iterable[Item], description: str, total: int, /) -> Iterable[Item]:
    """Hand the items through; nobody watches."""
    return items


Say = Callable[[str], None]
"""Receives one sentence about a choice that was made (plain text, no markup)."""


def silent(sentence: str) -> None:
    """Nobody listens."""


def noting_once(say: Say, notes: list[str]) -> Say:
    """`say` for each sentence the first time, which is then the last of `notes`."""

    def tell(sentence: str) -> None:
        if sentence not in notes:
            notes.append(sentence)
            say(sentence)

    return tell


def labelled(track: Track, prefix: str) -> Track:
    """`track`, with `prefix` before every description."""

    def tracked(items: Iterable[Item], description: str, total: int, /) -> Iterable[Item]:
        return track(items, f"{prefix}{description}", total)

    return tracked
