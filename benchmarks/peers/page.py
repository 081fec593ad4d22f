"""The page of the comparison, in Markdown, from the results alone."""

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.peers import judging
from benchmarks.peers.errors import PeerError
from benchmarks.peers.jobs import MODEL, OWN_TOOLS, RECIPES, TAILTUNE, TOOLS, Job
from benchmarks.peers.plot import draw_plot
from benchmarks.peers.results import Result
from benchmarks.peers.running_own import SAME_BATCH, SAME_EPOCHS
from benchmarks.peers.sets import ENLARGED, SETS

PLACES = "--data DATA --weights FILE --results RESULTS --work WORK"
_INTRODUCTION = """# tailtune against other tools

Every tool gets the same images, the same cuts, the same backbone and the same weights, and runs as a process of its
own; its wall time is that of the whole process, imports included. Start-up is a process that imports the same and
ends, measured just before. Each set is cut two thirds to one third, by group and class, three times (seeds 0, 1, 2);
training is capped at 300 images and test at 600, by whole groups; equal files are one group. Balanced accuracy is
computed in one place from each tool's predictions.csv. Trainer is run on the first cut alone. tailtune's
feature store is empty before each run; tailtune and fastai take their validation images out of the training images.
What only a GPU could show is unmeasured.

`hymenoptera` is a part of ImageNet, so the weights have seen it: it checks mechanics and speed, its accuracy carries
no claim.

    make bench-env
    python -m benchmarks.peers all {places}
    python -m benchmarks.peers table --results RESULTS --out docs/benchmarks.md

The command beside a number repeats it, with the same four places behind it (FILE is the backbone's weights, or `drawn`:
random ones, the same for every tool) and for the seeds 0, 1 and 2. The last table has a command for every set and tool.
"""


def write_page(results: Sequence[Result], out: Path) -> None:
    """Write the page, and its plot beside it. Raises PeerError where there are no results."""
    if not results:
        raise PeerError("the results file holds no line; fill it with: python -m benchmarks.peers all")
    out.parent.mkdir(parents=True, exist_ok=True)
    plot = out.with_suffix(".png")
    own_way = judging.documented(results)
    draw_plot(own_way, plot)
    out.write_text(compose_page(results, plot.name), encoding="utf-8")


def compose_page(results: Sequence[Result], plot: str) -> str:
    """The text of the page; `plot` is the name of the picture beside it."""
    own_way = judging.documented(results)
    return "\n".join(
        [
            _INTRODUCTION.format(places=PLACES),
            *_machine(results),
            *_turns(results),
            f"![Balanced accuracy against wall seconds, one line a tool]({plot})\n",
            *_times(own_way),
            *_accuracies(own_way),
            *_same_work(results),
            *_all_runs(own_way),
            *_settings(results),
        ]
    )


def _machine(results: Sequence[Result]) -> list[str]:
    machines = sorted({one.machine for one in results})
    commits = sorted({one.commit for one in results})
    dates = sorted(one.date for one in results)
    days = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    return [
        f"Measured on {' and '.join(machines)}, {days}, tailtune at {', '.join(commits)} "
        "(`+`: with changes not committed).\n"
    ]


def _turns(results: Sequence[Result]) -> list[str]:
    """Which runs were made in turns with tailtune's, and which at another time, told by commit and day."""
    own = {(one.set, one.seed, one.job.variant): (one.commit, one.date) for one in results if one.tool == TAILTUNE}
    apart: dict[str, list[bool]] = {}
    for one in results:
        beside = own.get((one.set, one.seed, one.job.variant))
        if one.tool != TAILTUNE and beside is not None:
            apart.setdefault(one.tool, []).append((one.commit, one.date) != beside)
    told = [f"{tool} {sum(flags)} of {len(flags)}" for tool, flags in apart.items() if any(flags)]
    if not told:
        return ["Tools took turns on each cut.\n"]
    return [
        "Tools took turns on each cut, but for runs that were made at another time than tailtune's on that cut: "
        f"{', '.join(told)}. Their seconds are of another hour of this machine, whose speed changes.\n"
    ]


def _times(results: Sequence[Result]) -> list[str]:
    parts = [rows for tool in OWN_TOOLS if (rows := judging.compare_times(results, tool))]
    if not parts:
        return []
    return [
        "## Time to the best peer's final accuracy\n",
        "The best fine-tuning peer is the one with the highest mean balanced accuracy on the set. Seconds are medians "
        "over the cuts. A finished tailtune run, with fixed settings, is compared with the peer's whole run: the "
        "default recipe, `--recipe quick` and `--recipe head-only`. Ratio: tailtune's seconds over the peer's; net: "
        "start-up deducted on both sides.\n",
        *(line for rows in parts for line in _times_of(rows)),
        *_command_list(Job(row.set, tool, 0) for rows in parts for row in rows for tool in (row.own, row.peer)),
    ]


def _times_of(rows: Sequence[judging.TimeRow]) -> list[str]:
    return [
        *_table(
            ["set", "best peer", "its accuracy", rows[0].own, "reached", "seconds", "peer s", "ratio", "net ratio"],
            [
                [
                    row.set,
                    row.peer,
                    f"{row.peer_accuracy:.3f}",
                    f"{row.own_accuracy:.3f}",
                    "yes" if row.is_reached else "no",
                    f"{row.own_seconds:.1f}",
                    f"{row.peer_seconds:.1f}",
                    f"{row.ratio:.3f}",
                    f"{row.net_ratio:.3f}",
                ]
                for row in rows
            ],
        ),
        f"Median over {len(rows)} sets: {statistics.median(row.ratio for row in rows):.3f} "
        f"(net {statistics.median(row.net_ratio for row in rows):.3f}); "
        f"largest: {max(row.ratio for row in rows):.3f} (net {max(row.net_ratio for row in rows):.3f}). "
        f"Accuracy reached on {sum(row.is_reached for row in rows)} of {len(rows)} sets.\n",
    ]


def _accuracies(results: Sequence[Result]) -> list[str]:
    tools = [tool for tool in TOOLS if judging.of(results, tool=tool)]
    sets = [name for name in SETS if judging.of(results, set=name)]
    rows = []
    for name in sets:
        cells = [judging.of(results, set=name, tool=tool) for tool in tools]
        note = "" if SETS[name].carries_claim else " (no claim)"
        rows.append([name + note, *(f"{judging.mean_accuracy(runs):.3f}" if runs else "" for runs in cells)])
    claimed = [name for name in sets if SETS[name].carries_claim]
    rows.append(["**mean of the claimed sets**", *(_overall(results, tool, claimed) for tool in tools)])
    lines = [
        "## Final accuracy\n",
        f"Balanced accuracy on the test images, mean over the cuts; the last row is over {', '.join(claimed)}.\n",
        *_table(["set", *tools], rows),
    ]
    differences = judging.compare_accuracies(results)
    if differences:
        lines += [
            "tailtune (default recipe) less each peer, over the pairs (set, cut) that both were run on, without "
            "hymenoptera; the closest peer on all pairs first. Two 95 % intervals: t over the pairs, as if they were "
            "independent; and one for these very sets that takes the cuts of a set for what they are, overlapping "
            "draws from one pool (Nadeau and Bengio 2003).\n",
            *_table(
                ["peer", "pairs", "difference", "t over pairs", "overlapping cuts", "worst set"],
                [
                    [
                        row.peer,
                        str(row.pairs),
                        f"{row.mean:+.3f}",
                        _interval(row.t_interval),
                        _interval(row.set_interval),
                        f"{row.worst_set} {row.worst:+.3f}",
                    ]
                    for row in differences
                ],
            ),
        ]
    ratios = judging.head_only_ratio(results)
    if ratios:
        told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
        lines.append(
            f"Wall time of `--recipe head-only` over the script's, medians over the cuts: {told}; "
            f"median {statistics.median(ratios.values()):.2f}.\n"
        )
    return lines


def _overall(results: Sequence[Result], tool: str, sets: Sequence[str]) -> str:
    """Mean over the sets of the means over their cuts; a set that is missing leaves the cell empty."""
    runs = [judging.of(results, tool=tool, set=name) for name in sets]
    return f"**{statistics.fmean(map(judging.mean_accuracy, runs)):.3f}**" if runs and all(runs) else ""


def _same_work(results: Sequence[Result]) -> list[str]:
    rows = judging.compare_same_work(results)
    if not rows:
        return []
    with_fp32 = any(row.fp32_speed_up is not None for row in rows)
    fp32 = ", and `in fp32` is how many times faster tailtune is without, where that was measured" if with_fp32 else ""
    return [
        "## The same work\n",
        f"One policy, {SAME_EPOCHS} epochs, batches of {SAME_BATCH}, for every tool; the fastest peer is named (with "
        "`full`, the plain loop). tailtune computes training views in bf16 where the CPU has it, which is its "
        f"default; the others are documented in fp32{fp32}. "
        "Views are the versions of a training image that tailtune looks at; peers make a new one each epoch. As with "
        "them, the head starts at random, no weights are averaged, and no image is kept back for validation (fastai "
        "cannot do without: a fiftieth). "
        f"Sets whose name ends in {ENLARGED} are PNG files of 1024 pixels. Images a second: training images times "
        "epochs over the seconds after start-up.\n",
        *_table(
            [
                *("set", "variant", "views", "tailtune s", "fastest peer", "peer s", "times faster"),
                *(["in fp32"] if with_fp32 else []),
                *("images/s", "peer images/s", "accuracy", "peer accuracy"),
            ],
            [
                [
                    row.set,
                    row.variant.name,
                    str(row.views),
                    f"{row.own_seconds:.1f}",
                    row.peer,
                    f"{row.peer_seconds:.1f}",
                    f"{row.speed_up:.2f}",
                    *([_ratio(row.fp32_speed_up)] if with_fp32 else []),
                    f"{row.own_rate:.1f}",
                    f"{row.peer_rate:.1f}",
                    f"{row.own_accuracy:.3f}",
                    f"{row.peer_accuracy:.3f}",
                ]
                for row in rows
            ],
        ),
        *_command_list(Job(row.set, tool, 0, row.variant) for row in rows for tool in (TAILTUNE, row.peer)),
    ]


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _all_runs(results: Sequence[Result]) -> list[str]:
    rows = []
    for name in SETS:
        for tool in TOOLS:
            runs = sorted(judging.of(results, set=name, tool=tool), key=lambda one: one.seed)
            if runs:
                start_up = statistics.median(one.start_up_seconds for one in runs)
                rows.append(
                    [
                        name,
                        tool,
                        f"{runs[0].train_images} / {runs[0].test_images}",
                        str(runs[0].views),
                        f"{judging.median_wall(runs):.1f}",
                        f"{start_up:.1f}",
                        ", ".join(f"{one.balanced_accuracy:.3f}" for one in runs),
                        f"`run --set {name} --tool {tool} --seed {runs[0].seed}`",
                    ]
                )
    header = ["set", "tool", "train / test", "views", "wall s", "start-up s", "balanced accuracy by cut", "command"]
    return [
        "## Every set and tool\n",
        "Medians over the cuts; accuracies in the order of the seeds; images of the first cut. The command follows "
        "`python -m benchmarks.peers`.\n",
        *_table(header, rows),
    ]


def _settings(results: Sequence[Result]) -> list[str]:
    lines = ["## Settings\n"]
    own_way = judging.documented(results)
    for tool in TOOLS:
        runs = judging.of(own_way, tool=tool)
        if runs and tool not in OWN_TOOLS:
            told = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in runs[0].settings.items())
            lines.append(f"- {tool}: {told}; epochs: {runs[0].epochs}.")
        elif runs:
            changed = f" with `--recipe {RECIPES[tool]}`" if tool in RECIPES else ""
            lines.append(f"- {tool}: the default recipe{changed}.")
    versions = {name: number for one in results for name, number in one.versions.items()}
    return [*lines, "", f"Versions: {json.dumps(versions, sort_keys=True)[1:-1].replace(chr(34), '')}.", ""]


def _command_list(jobs: Iterable[Job]) -> list[str]:
    """The commands of a table's numbers, each once, as one block."""
    lines = []
    for job in dict.fromkeys(jobs):
        variant = job.variant
        line = f"    python -m benchmarks.peers run --set {job.set_name} --tool {job.tool} --seed {job.seed}"
        line += f" --same-work {variant.policy}" if variant.policy else ""
        line += f" --model {variant.model}" if variant.model != MODEL else ""
        lines.append(line + ("" if variant.is_pretrained else " --weights drawn"))
    return [*lines, ""]


def _interval(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:+.3f} to {bounds[1]:+.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]
