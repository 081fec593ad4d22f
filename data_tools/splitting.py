"""Cut images into parts: stratified by class, never through a group or a set of equal files, seeded.

The cut hands out whole units (groups, joined with exact duplicates). First every class gets a unit in each
part, in the order train, test, val, as far as its units reach. Then the units are dealt out, the largest
first, each to a part drawn with the room it still has for the unit's classes as weight; a unit that fits
nowhere goes where it does least harm. With units of one image the wanted numbers are met exactly.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from data_tools.columns import TEST, TRAIN, VAL

_ORDER = (TRAIN, TEST, VAL)
"""Who is served first where a class has too few units for all parts."""
_FEW_UNITS = 6
"""Up to so many units, the largest of a class goes to train, the next to test."""


@dataclass
class _Deal:
    """The parts while they fill: per class and part, how many images are wanted and how many are there."""

    wanted: dict[str, dict[str, int]]
    dice: random.Random
    there: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    part_of: dict[int, str] = field(default_factory=dict)

    def place(self, unit: int, counts: Counter[str], part: str) -> None:
        self.part_of[unit] = part
        for label, count in counts.items():
            self.there[label, part] += count

    def room(self, counts: Counter[str], part: str) -> int:
        return sum(self.wanted[label][part] - self.there[label, part] for label in counts)

    def fits(self, counts: Counter[str], part: str) -> bool:
        return all(self.there[label, part] + count <= self.wanted[label][part] for label, count in counts.items())

    def harm(self, counts: Counter[str], part: str) -> float:
        """How much the squared distance from the wanted numbers grows, each class relative to its size."""
        return sum(
            count * (count + 2 * (self.there[label, part] - self.wanted[label][part])) / self.size(label)
            for label, count in counts.items()
        )

    def size(self, label: str) -> int:
        return max(1, sum(self.wanted[label].values()))


def join_units(*keys: Sequence[str], pairs: Sequence[tuple[int, int]] = ()) -> list[int]:
    """One number per image, equal for images that share a key (group, checksum) or are a pair, directly or by a chain.

    An empty key joins nothing. Numbers count up in the order of first appearance.
    """
    parent = list(range(len(keys[0])))

    def find(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(item: int, other: int) -> None:
        one, two = find(item), find(other)
        parent[max(one, two)] = min(one, two)

    for column in keys:
        first: dict[str, int] = {}
        for item, key in enumerate(column):
            if key:
                join(first.setdefault(key, item), item)
    for item, other in pairs:
        join(item, other)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(find(item), len(numbers)) for item in range(len(parent))]


def cut_parts(labels: Sequence[str], units: Sequence[int], fractions: Mapping[str, float], seed: int) -> list[str]:
    """The part of every image: `fractions` give test and/or val their share, train takes the rest.

    Deterministic in (labels, units, fractions, seed); sort the images first for a cut that does not depend
    on the order in which a disk lists them.
    """
    if not labels:
        return []
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for label, unit in zip(labels, units, strict=True):
        counts[unit][label] += 1
    wanted = {label: _wanted(count, fractions) for label, count in sorted(Counter(labels).items())}
    deal = _Deal(wanted, random.Random(seed))
    order = sorted(counts)
    deal.dice.shuffle(order)
    order.sort(key=lambda unit: -counts[unit].total())
    parts = [part for part in _ORDER if part == TRAIN or part in fractions]
    units_of: defaultdict[str, list[int]] = defaultdict(list)
    for unit in order:
        for label in counts[unit]:
            units_of[label].append(unit)
    for label in sorted(wanted, key=lambda label: (len(units_of[label]), label)):
        _seed_class(deal, label, units_of[label], counts, parts)
    for unit in order:
        if unit not in deal.part_of:
            deal.place(unit, counts[unit], _choose_part(deal, counts[unit], parts))
    return [deal.part_of[unit] for unit in units]


def _wanted(count: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """How many of a class's images each part should get: at least one each, as far as they reach."""
    wanted = {TRAIN: count}
    for part in _ORDER[1:]:
        share = max(1, round(count * fractions.get(part, 0.0)))
        wanted[part] = min(share, wanted[TRAIN] - 1) if part in fractions else 0
        wanted[TRAIN] -= wanted[part]
    return wanted


def _seed_class(
    deal: _Deal, label: str, own: list[int], counts: Mapping[int, Counter[str]], parts: Sequence[str]
) -> None:
    """Give each part one unit of a class, while units last."""
    for part in parts:
        free = [unit for unit in own if unit not in deal.part_of]
        if not free or deal.there[label, part] > 0:
            continue
        unit = free[0] if len(own) <= _FEW_UNITS else _draw_modest(deal, free, counts, part)
        deal.place(unit, counts[unit], part)


def _draw_modest(deal: _Deal, free: list[int], counts: Mapping[int, Counter[str]], part: str) -> int:
    fitting = [unit for unit in free if deal.fits(counts[unit], part)]
    return deal.dice.choice(fitting) if fitting else free[-1]


def _choose_part(deal: _Deal, counts: Counter[str], parts: Sequence[str]) -> str:
    fitting = [part for part in parts if deal.fits(counts, part)]
    if fitting:
        return deal.dice.choices(fitting, [deal.room(counts, part) for part in fitting])[0]
    return min(parts, key=lambda part: deal.harm(counts, part))
