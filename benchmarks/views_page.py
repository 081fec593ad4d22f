"""The page on stored views against fresh ones, and the default that follows from it."""

from collections.abc import Mapping, Sequence
from statistics import mean

import click

from benchmarks.pairing import Difference, paired_difference
from benchmarks.results import Record

FRESH, STORED = "fresh", (1, 2, 4, 8)
MARGIN = 0.005
"""What of balanced accuracy is given up for fewer views."""

Cells = dict[str, dict[tuple[str, int], float]]
"""Balanced accuracy by setting, then by (set, cut)."""


def stored_name(views: int) -> str:
    """The name of a setting with stored views."""
    return f"stored {views}"


def gather(records: Sequence[Record]) -> tuple[Cells, set[tuple[str, int]]]:
    """The balanced accuracies, and the (set, cut) pairs for which every setting is there."""
    kinds = {(record["recipe"], record["model"], *record["settings"]) for record in records}
    if len(kinds) > 1:
        raise click.ClickException(f"the results are of {len(kinds)} recipes or models; keep each in a file of its own")
    cells: Cells = {name: {} for name in (FRESH, *map(stored_name, STORED))}
    for record in records:
        cells[record["setting"]][record["set"], record["cut"]] = record["balanced_accuracy"]
    whole = set.intersection(*(set(held) for held in cells.values()))
    if not whole:
        raise click.ClickException(
            "no set and cut has all settings yet; make more with `python -m benchmarks.views run`"
        )
    return cells, whole


def differences_to_fresh(cells: Cells, whole: set[tuple[str, int]]) -> dict[int, Difference]:
    """Of each number of stored views, paired by set and cut."""
    pairs = sorted(whole)
    fresh = [cells[FRESH][pair] for pair in pairs]
    return {views: paired_difference([cells[stored_name(views)][pair] for pair in pairs], fresh) for views in STORED}


def choose_views(differences: Mapping[int, Difference]) -> tuple[int, str]:
    """The default number of views, and the sentence that says why."""
    for views, found in sorted(differences.items()):
        if found.value >= -MARGIN and (found.high is None or found.high >= 0):
            return views, (
                f"Default: `augment.views: {views}`, the fewest whose mean is at most {100 * MARGIN:.1f} points below "
                f"fresh views and whose interval does not lie below them whole ({found.points})."
            )
    best = max(differences, key=lambda views: differences[views].value)
    return best, (
        f"Default: `augment.views: {best}`, the nearest to fresh views ({differences[best].points}); no number of "
        f"stored views comes within {100 * MARGIN:.1f} points."
    )


def document(records: Sequence[Record]) -> str:
    """The generated page."""
    cells, whole = gather(records)
    differences = differences_to_fresh(cells, whole)
    sets, first = sorted({name for name, _ in whole}), records[0]
    kind = ", ".join([first["recipe"] or "first-three", first["model"], *first["settings"]])
    parts = [
        "# Stored views against fresh ones",
        "Generated; do not edit. Balanced accuracy on the third held out "
        "of a cut's training images (`benchmarks/inner_splits.py`), mean over the cuts of a set, "
        f"{len(whole)} pairs of set and cut in all. Recipe and model: {kind}.",
        "`stored N`: the trunk runs once, on N seeded views of each training image. `fresh`: in every epoch, on "
        "new views. Last row: points of difference to fresh, with Student's 95 % interval over the pairs; cuts of one "
        "set share images, so it is a little narrow.",
        "    python -m benchmarks.views run --data ../shared/data --weights FILE --work WORK --results RESULTS\n"
        "    python -m benchmarks.views table RESULTS --out docs/views.md",
        _table(cells, whole, sets, differences),
        choose_views(differences)[1],
    ]
    return "\n\n".join(parts) + "\n"


def _table(
    cells: Cells, whole: set[tuple[str, int]], sets: Sequence[str], differences: Mapping[int, Difference]
) -> str:
    names = [*map(stored_name, STORED), FRESH]
    lines = ["| set | " + " | ".join(names) + " |", "|---" * (1 + len(names)) + "|"]
    for one in sets:
        means = [mean(cells[name][pair] for pair in sorted(whole) if pair[0] == one) for name in names]
        lines.append(f"| {one} | " + " | ".join(f"{value:.3f}" for value in means) + " |")
    overall = [mean(cells[name][pair] for pair in sorted(whole)) for name in names]
    lines.append("| mean | " + " | ".join(f"{value:.3f}" for value in overall) + " |")
    lines.append("| against fresh | " + " | ".join(differences[views].points for views in STORED) + " | |")
    return "\n".join(lines)
