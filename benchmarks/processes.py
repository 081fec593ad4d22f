"""Run `finetune` in a process of its own, with a store of its own, and watch its time and its anonymous memory."""

import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import click

INTERVAL_SECONDS = 0.02
"""How often memory is looked at."""
_ANONYMOUS = re.compile(r"^RssAnon:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class Watched:
    """A process that has ended well: wall seconds, imports included, and what it wrote to standard output.

    `cpu_seconds` are those of it and its descendants, user and system, which other work on the machine hardly moves.
    `peak_anonymous_bytes` is the largest sum, at one moment, of `RssAnon` over it and its descendants.
    """

    seconds: float
    cpu_seconds: float
    peak_anonymous_bytes: int
    output: str


def run_finetune(arguments: Sequence[str], store: Path) -> Watched:
    """`finetune` with `arguments`, `store` as its feature store. Raises click.ClickException with what it said last."""
    if not Path("/proc/self/task").is_dir():
        raise click.ClickException("memory is read from /proc, which this system does not have; run it on Linux")
    command = [sys.executable, "-m", "finetune", *arguments]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        started, before = perf_counter(), _children_seconds()
        process = subprocess.Popen(
            command, stdout=output, stderr=messages, env={**os.environ, "TAILTUNE_CACHE": str(store)}
        )
        peak = _watch(process)
        seconds, cpu_seconds = perf_counter() - started, _children_seconds() - before
        output.seek(0)
        messages.seek(0)
        if process.returncode != 0:
            last = "\n".join(messages.read().decode(errors="replace").splitlines()[-5:])
            raise click.ClickException(f"finetune {' '.join(arguments)}: exit code {process.returncode}\n{last}")
        return Watched(seconds, cpu_seconds, peak, output.read().decode(errors="replace"))


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(process: "subprocess.Popen[bytes]") -> int:
    peak, earlier = 0, dict[int, int]()
    try:
        while True:
            present = anonymous_bytes(process.pid)
            peak = max(peak, _sum(present, earlier, process.pid))
            earlier = present
            try:
                process.wait(INTERVAL_SECONDS)
                return peak
            except subprocess.TimeoutExpired:
                continue
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _sum(present: dict[int, int], earlier: dict[int, int], parent: int) -> int:
    """The parent's bytes, and of each descendant what it holds now and held a look ago.

    Between fork and exec a child shows all memory of its parent as its own; that is over by the next look.
    """
    return sum(held if pid == parent else min(held, earlier.get(pid, 0)) for pid, held in present.items())


def anonymous_bytes(pid: int) -> dict[int, int]:
    """`RssAnon` of a process and each of its descendants; what ends meanwhile counts nothing."""
    return {one: _own_anonymous_bytes(one) for one in _family(pid)}


def _own_anonymous_bytes(pid: int) -> int:
    try:
        found = _ANONYMOUS.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return 1024 * int(found[1]) if found else 0


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for task in tasks:
        try:
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _family(int(child))
