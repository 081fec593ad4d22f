"""What `finetune plan` prints: the freeze table, the cut in words, and the forecast of a run."""

import sys
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from finetune.freezing import FreezePlan
    from finetune.jobs.forecasting import Forecast

_PLAIN_WIDTH = 140
"""Columns where no terminal says how many there are: wide enough for the longest module names."""


def open_console() -> Console:
    """Standard output; wide and plain where it is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH)


def show_plan_table(console: Console, plan: dict[str, Any]) -> None:
    """The freeze table from its JSON form, what learns, and where the cut runs."""
    height, width = plan["input"][1:]
    title = f"{plan['model']} at {height} x {width}{_strides(plan)}, policy {plan['policy']}"
    phases = plan["phases"]
    rates = [f"rate, epochs {phase['first_epoch']}-{phase['last_epoch']}" for phase in phases]
    table = plain_table(
        console, title, ("stage", "modules"), ("parameters", "buffers", "multiply-adds", "frozen", *rates)
    )
    for row in plan["stages"]:
        share = format_share(row["frozen_parameters"], row["parameters"])
        counts = (f"{row[key]:,}" for key in ("parameters", "buffers", "macs"))
        peaks = (_rate(phase["learning_rates"].get(row["name"])) for phase in phases)
        table.add_row(row["name"], _range(row["modules"]), *counts, share, *peaks)
    console.print(table)
    for sentence in (describe_training(plan), *describe_head(plan), *describe_cut(plan)):
        console.print(sentence, highlight=False, soft_wrap=True)


def describe_training(plan: dict[str, Any]) -> str:
    """One sentence: what learns."""
    learning, everything = plan["trainable_parameters"], plan["parameters"]
    rows = {row["name"]: row for row in plan["stages"]}
    parts = [name if not rows[name]["frozen_parameters"] else f"part of {name}" for name in plan["trained"]]
    share = format_share(learning, everything)
    return f"Trained: {', '.join(parts)}; {learning:,} of {everything:,} parameters ({share})."


def describe_head(plan: dict[str, Any]) -> list[str]:
    """What a head that is not timm's own means."""
    limit = "The head looks at every stage: plain timm will not load the model, finetune.load_model will."
    chosen = "A run chooses its head by cross-validation; this is the larger one, which looks at every stage."
    return {"multi-stage": [limit], "auto": [chosen]}.get(plan["head"], [])


def describe_cut(plan: dict[str, Any]) -> list[str]:
    """Where the cut runs and what crosses it, a sentence each; the reason where there is none."""
    if plan["uncut_reason"]:
        return [f"No trunk: {plan['uncut_reason']}. Every epoch runs the whole network."]
    rows = plan["cut"]
    sentences = []
    for row in rows:
        where = (
            f"the output of {row['module']}"
            if row["is_output"]
            else f"a value made inside {row['module'] or 'the network'}"
        )
        stage = f" ({row['stage']})" if row["stage"] else ""
        shape = " x ".join(str(size) for size in row["shape"])
        sentences.append(f"The cut runs after {where}{stage}: {shape}, {row['bytes']:,} bytes a view in fp16.")
    if len(rows) > 1:
        sentences.append(f"{len(rows)} tensors cross, {sum(row['bytes'] for row in rows):,} bytes a view in fp16.")
    return sentences


def show_contents(console: Console, plan: dict[str, Any], resolved: "FreezePlan") -> None:
    """Blocks, output and size of each stage, every module of it, and every parameter that learns."""
    table = plain_table(console, "", ("stage", "blocks"), ("output", "parameters", "multiply-adds"))
    for row in plan["stages"]:
        blocks = ", ".join(_times(block) for block in row["blocks"])
        output = " x ".join(str(size) for size in row["output"] or ()) or "-"
        table.add_row(row["name"], blocks or "-", output, f"{row['parameters']:,}", f"{row['macs']:,}")
    console.print(table)
    for row in plan["stages"]:
        console.print(f"{row['name']}: {', '.join(row['modules']) or 'no module'}", highlight=False, soft_wrap=True)
    names = ", ".join(sorted(resolved.trainable_parameters))
    console.print(f"Parameters that learn: {names}", highlight=False, soft_wrap=True)


def show_forecast(console: Console, forecast: "Forecast") -> None:
    """Predicted seconds part by part, the size of the feature store and the peak of memory."""
    counts = ", ".join(f"{count} {split}" for split, count in forecast.images.items())
    trial = f"from {forecast.calibration_seconds:.1f} s of trial"
    console.print(f"\nA first run on these images ({counts}), {trial}:", highlight=False, soft_wrap=True)
    table = plain_table(console, "", ("part", "what"), ("seconds",))
    meanings = {
        "scan": "reading every image, loading and cutting the network (as just now)",
        "adapt": "estimating norm statistics on the training images",
        "decode": "waiting for images of the trunk",
        "trunk": "running the trunk once over every view",
        "tail": f"{forecast.epochs} epochs, {forecast.tail_epoch_seconds:.2f} s each on average"
        if forecast.epochs
        else "solving the head, which learns alone",
        "evaluate": "scores of the validation and test images",
    }
    for name, seconds in forecast.seconds.items():
        table.add_row(name, meanings[name], f"{seconds:.1f}")
    table.add_row("total", "without the report", f"{forecast.total_seconds:.1f}")
    console.print(table)
    lines = [f"Feature store: {forecast.store_bytes:,} bytes; decoded pixels: {forecast.pixel_bytes:,} bytes."]
    if forecast.patience is not None and forecast.epochs:
        lines.append(f"Early stopping (patience {forecast.patience}) may end the tail sooner.")
    if forecast.memory_bytes is not None:
        lines.append(f"Peak memory: about {forecast.memory_bytes / 1e9:.1f} GB ({forecast.memory_method}).")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def format_share(part: int, whole: int) -> str:
    """A percentage that says 0 % or 100 % only where it is exactly so; a dash of nothing."""
    if not whole:
        return "-"
    if part in (0, whole):
        return "100 %" if part else "0 %"
    return f"{min(99.9, max(0.1, 100 * part / whole)):.1f} %"


def _strides(plan: dict[str, Any]) -> str:
    from finetune.backbones import Strides

    return "".join(f", {word}" for word in Strides(plan["output_stride"], plan["stem"]).words)


def _times(block: dict[str, Any]) -> str:
    return str(block["type"]) if block["repeats"] == 1 else f"{block['type']} x {block['repeats']}"


def _rate(peak: float | None) -> str:
    """The peak learning rate of a stage; a dash where it is frozen."""
    return "-" if peak is None else f"{peak:.1e}"


def _range(modules: list[str]) -> str:
    """First … last."""
    if not modules:
        return "-"
    return modules[0] if len(modules) == 1 else f"{modules[0]} … {modules[-1]}"


def plain_table(console: Console, title: str, words: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    """A table with columns of words, then of numbers; without lines where it is no terminal."""
    table = Table(title=title or None, title_justify="left", box=box.HEAVY_HEAD if console.is_terminal else None)
    for heading in words:
        table.add_column(heading, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table
