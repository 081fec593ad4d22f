"""Which freeze policy holds in which epoch: a pure function of the recipe."""

from dataclasses import dataclass

from recipes.schema import Recipe

_GRADUAL = (("head-only", 0.0), ("first-three", 0.2), ("last-two-stages", 0.6))
"""The phases of `gradual`, each with the share of all epochs that lie before it."""


@dataclass(frozen=True)
class Phase:
    """Epochs `first_epoch` to `last_epoch`, both counted from one over the whole run, under one policy."""

    number: int
    policy: str | tuple[str, ...]
    first_epoch: int
    last_epoch: int
    learning_rate: float

    @property
    def epochs(self) -> int:
        """How many epochs the phase lasts."""
        return self.last_epoch - self.first_epoch + 1


def list_phases(recipe: Recipe) -> tuple[Phase, ...]:
    """The phases of a run in order; one for a policy that does not change."""
    policy, epochs, rate = recipe.freeze.policy, recipe.train.epochs, recipe.train.learning_rate
    starts: list[tuple[str | list[str], int, float]]
    if policy == "gradual":
        starts = [(name, 1 + max(index, round(share * epochs)), rate) for index, (name, share) in enumerate(_GRADUAL)]
    elif policy == "phases":
        starts = [(phase.policy, phase.first_epoch, phase.rate_factor * rate) for phase in recipe.freeze.phases]
    else:
        starts = [(policy, 1, rate)]
    ends = [first - 1 for _, first, _ in starts[1:]] + [epochs]
    return tuple(
        Phase(number, tuple(wish) if isinstance(wish, list) else wish, first, last, peak)
        for number, ((wish, first, peak), last) in enumerate(zip(starts, ends, strict=True))
    )


def phase_at(recipe: Recipe, epoch: int) -> Phase:
    """The phase of `epoch`, counted from one."""
    return next(phase for phase in reversed(list_phases(recipe)) if phase.first_epoch <= epoch)
