"""Compares two evaluations: of the same images in pairs, or of different images from their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from finetune.errors import InputError
from finetune.evaluation import mover
from finetune.evaluation.evaluating import even_size
from finetune.evaluation.intervals import NO_VARIANCE, jackknife_variance
from finetune.evaluation.predictions import GROUP, LABEL, PATH, REPEAT
from finetune.evaluation.replicates import Replicates, overall_replicates
from finetune.evaluation.result import Metric, undefined
from finetune.evaluation.split import Split, read_split, select_split

Ints = NDArray[np.int64]

_WIDTHS = {"mcc": 2.0, "quadratic_kappa": 2.0, "brier": 2.0, "log_loss": np.inf}
"""How far two values of a measure can lie apart, where it is not 1."""
_FROM_SCORES = ("roc_auc", "log_loss", "brier")
_METHOD = "jackknife over groups"
_UNPAIRED = "mover"


@dataclass(frozen=True)
class McNemar:
    """Whether two sets of answers are right equally often: images that only the first, only the second got right."""

    first_only: int
    second_only: int
    p_value: float
    method: str


@dataclass(frozen=True)
class Comparison:
    """First minus second, on the same images: every overall metric's difference, and a test of right answers."""

    split: str
    images: int
    groups: int
    differences: Mapping[str, Metric]
    mcnemar: McNemar


def compare_predictions(
    first: pd.DataFrame,
    second: pd.DataFrame,
    labels: Sequence[str],
    *,
    split: str = "test",
    confidence: float = 0.95,
    order: Sequence[str] | None = None,
) -> Comparison:
    """First minus second over the images of one split, which both tables must judge, with equal labels and groups.

    Rows are matched by `path`, and by `repeat` where both have it; all rows of a path belong together. `order` is that
    of `evaluate_predictions`. Raises InputError where the tables differ in images, labels or groups.
    """
    tables = _match(*(select_split(table, split) for table in (first, second)))
    parts = [read_split(table, tuple(labels), split, confidence) for table in tables]
    values = [overall_replicates(part, order) for part in parts]
    differences = {name: _difference(parts[0], name, values[0][name], values[1][name]) for name in values[0]}
    outcomes = parts[0].outcomes
    return Comparison(split, parts[0].images, outcomes.groups, differences, mcnemar(*parts))


def difference_of(metric: Metric, other: Metric) -> Metric:
    """`metric` minus `other`, of different images, with the interval that their two intervals give.

    MOVER (Newcombe, 1998, method 10; Zou and Donner, 2008). Without a value or an interval where either has none.
    """
    if metric.value is None or other.value is None:
        return undefined(metric.reason or other.reason or "one of the two does not exist")
    value = metric.value - other.value
    if metric.low is None or metric.high is None or other.low is None or other.high is None:
        return Metric(value, None, None, _UNPAIRED, None, metric.reason or other.reason or "one has no interval")
    low, high = mover.difference((metric.value, metric.low, metric.high), (other.value, other.low, other.high))
    sizes = [size for size in (metric.n_eff, other.n_eff) if size is not None]
    return Metric(value, low, high, _UNPAIRED, min(sizes) if sizes else None)


def mcnemar(first: Split, second: Split) -> McNemar:
    """Exact test of equally many right answers; the parts hold the same images in the same order.

    McNemar's (1947) where every image stands alone. Else the statistic of Obuchowski (1998), the sum over groups of
    (images only the first got right) - (those only the second did), against all ways to swap the two within groups,
    each as likely as any other; with one image a group that is McNemar's test.
    """
    right = [part.outcomes.predicted == part.outcomes.truth for part in (first, second)]
    ahead, behind = right[0] & ~right[1], right[1] & ~right[0]
    counts = int(ahead.sum()), int(behind.sum())
    group, groups = first.outcomes.group, first.outcomes.groups
    if groups == len(group):
        p_value = float(stats.binomtest(counts[0], sum(counts), 0.5).pvalue) if sum(counts) else 1.0
        return McNemar(*counts, p_value, "exact McNemar")
    leads = np.bincount(group[ahead], minlength=groups) - np.bincount(group[behind], minlength=groups)
    return McNemar(*counts, swap_p_value(leads), "exact over groups")


def swap_p_value(leads: Ints) -> float:
    """Chance that |sum| of `leads` is as large as it is, if each had either sign with chance 1/2; exact."""
    sizes = np.abs(leads[leads != 0])
    reach = int(sizes.sum())
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for size in sizes:
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    far = np.abs(np.arange(-reach, reach + 1)) >= abs(int(leads.sum()))
    return min(1.0, float(chances[far].sum()))


def _match(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables in the order of the first, an image without a group in one of its own path."""
    keys = [PATH, *([REPEAT] if REPEAT in first.columns and REPEAT in second.columns else [])]
    indexed = [table.set_index([table[key].astype(str) for key in keys]) for table in (first, second)]
    for table, name in zip(indexed, ("first", "second"), strict=True):
        if table.index.has_duplicates:
            twice = table.index[table.index.duplicated()][0]
            raise InputError(f"the {name} predictions hold {_named(twice)} twice; images are compared one by one.")
    places = [table.index for table in indexed]
    for here, there, name in ((places[0], places[1], "second"), (places[1], places[0], "first")):
        absent = here.difference(there)
        if len(absent):
            raise InputError(
                f"the two tables must judge the same images; {len(absent)} are missing in the {name}, "
                f"such as {_named(absent[0])}."
            )
    whole = indexed[0], indexed[1].loc[indexed[0].index]
    for column in (LABEL, GROUP):
        before, now = (table[column].astype(str).to_numpy() for table in whole)
        if differs := np.flatnonzero(before != now).tolist():
            raise InputError(
                f"the two tables must agree on the column {column!r}; {_named(whole[0].index[differs[0]])} has "
                f"{before[differs[0]]!r} in the first and {now[differs[0]]!r} in the second."
            )
    first, second = (table.reset_index(drop=True) for table in whole)
    own = first[GROUP].astype(str).where(first[GROUP].astype(str) != "", "\0" + first[PATH].astype(str))
    return first.assign(**{GROUP: own}), second.assign(**{GROUP: own})


def _named(key: object) -> str:
    return repr(key[0]) if isinstance(key, tuple) else repr(key)


def _difference(part: Split, name: str, first: Replicates, second: Replicates) -> Metric:
    """Difference with the interval of Student's t at the jackknife's error, each group left out of both tables.

    Measures made of answers have the variance of two more groups that differ, once either way (Bonett and Price, 2012,
    for shares): two models that differ in few answers here may differ in more elsewhere.
    """
    reason = first.reason or second.reason
    if not np.isfinite(first.value) or not np.isfinite(second.value):
        return undefined(reason or "one of the two does not exist")
    value, groups, width = first.value - second.value, part.outcomes.groups, _WIDTHS.get(name, 1.0)
    if reason is not None or groups < 2:
        return Metric(value, None, None, _METHOD, None, reason or "one group tells nothing of others")
    variance = float(jackknife_variance(first.without - second.without))
    if not np.isfinite(variance):
        return Metric(value, None, None, _METHOD, None, "it does not exist without some of the groups")
    if name not in _FROM_SCORES:
        variance += 2 * (width / _independent_groups(part, name)) ** 2
    elif variance <= NO_VARIANCE:
        return Metric(value, None, None, _METHOD, None, "the groups do not differ in it")
    reach = float(stats.t.ppf((1 + part.confidence) / 2, groups - 1)) * variance**0.5
    low, high = min(max(value - reach, -width), value), max(min(value + reach, width), value)
    return Metric(value, low, high, _METHOD, float(groups))


def _independent_groups(part: Split, name: str) -> float:
    """How many groups of equal weight weigh in a measure as these do."""
    if name == "accuracy":
        sizes = np.bincount(part.outcomes.group).astype(np.float64)
        return float(sizes.sum() ** 2 / (sizes**2).sum())
    return even_size(part.groups_per_class[part.groups_per_class > 0])
