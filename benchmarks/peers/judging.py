"""What the results say: times against the best peer's, accuracies with paired intervals, the same work."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.pairing import interval_around, paired_interval
from benchmarks.peers.jobs import FINE_TUNERS, HEAD_ONLY, PEERS, SCRIPT, TAILTUNE, TAILTUNE_FP32, Variant
from benchmarks.peers.results import Result
from benchmarks.peers.sets import ENLARGED, SETS

TEST_TO_TRAIN = 1 / 2
"""Images in a test part for each in the training part, before the caps."""


@dataclass(frozen=True)
class TimeRow:
    """One set: tailtune's time, in one of its ways, against that of the fine-tuning peer with the best accuracy."""

    own: str
    set: str
    peer: str
    peer_accuracy: float
    own_accuracy: float
    """tailtune's mean over the cuts that the peer was run on."""
    own_seconds: float
    peer_seconds: float
    ratio: float
    net_ratio: float
    """With start-up deducted on both sides."""

    @property
    def is_reached(self) -> bool:
        """Whether tailtune ended at the peer's accuracy or above."""
        return self.own_accuracy >= self.peer_accuracy


@dataclass(frozen=True)
class Difference:
    """tailtune's balanced accuracy less a peer's, over the pairs (set, cut) that both were run on."""

    peer: str
    pairs: int
    mean: float
    t_interval: tuple[float, float] | None
    """t interval over the pairs, as if they were independent."""
    set_interval: tuple[float, float] | None
    """For these very sets, with the cuts of a set taken as what they are: overlapping draws from one pool."""
    worst_set: str
    worst: float


@dataclass(frozen=True)
class WorkRow:
    """The same work on one set: tailtune's median time and the fastest peer's."""

    set: str
    variant: Variant
    views: int
    own_seconds: float
    fp32_seconds: float | None
    """tailtune's own without bf16, where that was measured."""
    peer: str
    peer_seconds: float
    own_accuracy: float
    peer_accuracy: float
    own_rate: float
    """Training images, times epochs, for each second after start-up."""
    peer_rate: float

    @property
    def speed_up(self) -> float:
        """How many times faster tailtune's whole process is."""
        return self.peer_seconds / self.own_seconds

    @property
    def fp32_speed_up(self) -> float | None:
        """The same without bf16."""
        return None if self.fp32_seconds is None else self.peer_seconds / self.fp32_seconds


def of(results: Iterable[Result], **wanted: object) -> list[Result]:
    """The results whose fields have the wanted values."""
    return [one for one in results if all(getattr(one, name) == value for name, value in wanted.items())]


def median_wall(results: Sequence[Result]) -> float:
    """Median wall seconds of some runs."""
    return statistics.median(one.wall_seconds for one in results)


def median_net(results: Sequence[Result]) -> float:
    """Median wall seconds without start-up: the median over runs of each run's own difference."""
    return statistics.median(one.net_seconds for one in results)


def mean_accuracy(results: Sequence[Result]) -> float:
    """Mean balanced accuracy of some runs."""
    return statistics.fmean(one.balanced_accuracy for one in results)


def documented(results: Iterable[Result]) -> list[Result]:
    """The runs in which every tool worked its own documented way."""
    return [one for one in results if one.job.variant == Variant()]


def compare_times(results: Sequence[Result], tool: str) -> list[TimeRow]:
    """Must show 1: one row for each set that `tool`, one of ours, and a fine-tuning peer were run on."""
    rows = []
    for name in SETS:
        own = of(results, set=name, tool=tool)
        peers = {peer: runs for peer in FINE_TUNERS if (runs := of(results, set=name, tool=peer))}
        if not own or not peers:
            continue
        best = max(peers, key=lambda peer: mean_accuracy(peers[peer]))
        cuts = {one.seed for one in peers[best]}
        shared = [one for one in own if one.seed in cuts] or own
        rows.append(
            TimeRow(
                own=tool,
                set=name,
                peer=best,
                peer_accuracy=mean_accuracy(peers[best]),
                own_accuracy=mean_accuracy(shared),
                own_seconds=median_wall(own),
                peer_seconds=median_wall(peers[best]),
                ratio=median_wall(own) / median_wall(peers[best]),
                net_ratio=median_net(own) / median_net(peers[best]),
            )
        )
    return rows


def compare_accuracies(results: Sequence[Result]) -> list[Difference]:
    """Must show 2: tailtune less each peer, over the sets whose accuracy carries a claim; the best peer first."""
    claimed = [one for one in results if one.set in SETS and SETS[one.set].carries_claim]
    own = {(one.set, one.seed): one.balanced_accuracy for one in of(claimed, tool=TAILTUNE)}
    rows = []
    for peer in PEERS:
        other = {(one.set, one.seed): one.balanced_accuracy for one in of(claimed, tool=peer)}
        by_set: dict[str, list[float]] = {}
        for pair in sorted(own.keys() & other.keys()):
            by_set.setdefault(pair[0], []).append(own[pair] - other[pair])
        if by_set:
            rows.append(_difference(peer, by_set))
    return sorted(rows, key=lambda row: (-row.pairs, row.mean))


def _difference(peer: str, by_set: dict[str, list[float]]) -> Difference:
    everything = [value for values in by_set.values() for value in values]
    worst = min(by_set, key=lambda name: statistics.fmean(by_set[name]))
    return Difference(
        peer=peer,
        pairs=len(everything),
        mean=statistics.fmean(everything),
        t_interval=paired_interval(everything),
        set_interval=resampled_interval(list(by_set.values())),
        worst_set=worst,
        worst=statistics.fmean(by_set[worst]),
    )


def resampled_interval(by_set: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """The interval for the mean over these sets, the cuts of each being draws that share images.

    Variance within each set only, corrected for the overlap (Nadeau and Bengio, "Inference for the Generalization
    Error", 2003): 1/cuts + test/train in place of 1/cuts. None unless every set has the same two cuts or more.
    """
    cuts = {len(values) for values in by_set}
    if len(cuts) != 1 or min(cuts) < 2:
        return None
    (count,) = cuts
    variance = sum(statistics.variance(values) for values in by_set) * (1 / count + TEST_TO_TRAIN) / len(by_set) ** 2
    mean = statistics.fmean(value for values in by_set for value in values)
    return interval_around(mean, variance**0.5, len(by_set) * (count - 1))


def head_only_ratio(results: Sequence[Result]) -> dict[str, float]:
    """Must show 2, last sentence: per set, median wall time of `head-only` against the script's."""
    ratios = {}
    for name in SETS:
        own, script = of(results, set=name, tool=HEAD_ONLY), of(results, set=name, tool=SCRIPT)
        if own and script:
            ratios[name] = median_wall(own) / median_wall(script)
    return ratios


def compare_same_work(results: Sequence[Result]) -> list[WorkRow]:
    """Must show 3: one row for each set and variant; with `full` the plain loop is what is compared with."""
    rows = []
    keys = {(one.set, one.job.variant): None for one in results if one.policy is not None}
    for name, variant in keys:
        runs = [one for one in results if one.set == name and one.job.variant == variant]
        own, wide = of(runs, tool=TAILTUNE), of(runs, tool=TAILTUNE_FP32)
        tools = ("plain",) if variant.policy == "full" else FINE_TUNERS
        peers = {tool: found for tool in tools if (found := of(runs, tool=tool))}
        if not own or not peers:
            continue
        fastest = min(peers, key=lambda tool: median_wall(peers[tool]))
        rows.append(
            WorkRow(
                set=name,
                variant=variant,
                views=own[0].views,
                own_seconds=median_wall(own),
                fp32_seconds=median_wall(wide) if wide else None,
                peer=fastest,
                peer_seconds=median_wall(peers[fastest]),
                own_accuracy=mean_accuracy(own),
                peer_accuracy=mean_accuracy(peers[fastest]),
                own_rate=_rate(own),
                peer_rate=_rate(peers[fastest]),
            )
        )
    return sorted(rows, key=lambda row: (row.variant.name, row.set.endswith(ENLARGED), row.set))


def _rate(results: Sequence[Result]) -> float:
    return statistics.median(one.train_images * one.epochs / one.net_seconds for one in results)
