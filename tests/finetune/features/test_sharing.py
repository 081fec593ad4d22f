"""Several processes share one store: they wait for each other, and survive each other's death."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.cache import CacheFolder
from finetune.interrupts import Interrupted
from tests.finetune.features.builder import BATCH, IDENTITY, compute, open_store

ROOT = Path(__file__).parents[3]
STARTS = [str(start) for start in range(0, 30, BATCH)]
LIMIT_SECONDS = 60


WAITING = "Another process is making the same features; this one waits for them."


class Builder:
    """A process that builds the small store; its log tells how far it is."""

    def __init__(self, root: Path, log: Path, pause: str) -> None:
        self.log = log
        command = [sys.executable, "-m", "tests.finetune.features.builder", str(root), str(log), pause]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait_for(self, line: str) -> None:
        end = time.monotonic() + LIMIT_SECONDS
        while line not in self.lines():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end, self.lines()
            time.sleep(0.01)

    def finish(self) -> list[str]:
        self.log.with_name(f"{self.log.name}.go").touch()
        _, error = self.process.communicate(timeout=LIMIT_SECONDS)
        assert self.process.returncode == 0, error.decode()
        return self.lines()

    def kill(self) -> None:
        self.process.kill()  # SIGKILL
        self.process.wait()


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Callable[..., Builder]]:
    started: list[Builder] = []

    def start(name: str, pause: str = "") -> Builder:
        """A process that pauses after that line of its log, and has reached it."""
        one = Builder(tmp_path / "store", tmp_path / name, pause)
        started.append(one)
        if pause:
            one.wait_for(pause)
        return one

    yield start
    for one in started:
        one.kill()


def whole_bytes(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "features" / IDENTITY.key).glob("0*")}


def test_of_two_processes_one_computes_and_the_other_waits_and_reads(builder: Callable[..., Builder]) -> None:
    first, second = builder("first", pause="8"), builder("second")
    second.wait_for(WAITING)
    assert first.finish() == [*STARTS, "built"]
    assert second.finish() == [WAITING, "built"]


@pytest.mark.parametrize("batch", [2, 5])
def test_what_a_killed_process_has_finished_is_kept_to_the_byte(
    builder: Callable[..., Builder], tmp_path: Path, batch: int
) -> None:
    open_store(tmp_path / "whole").build(IDENTITY, compute)
    builder("first", pause=STARTS[batch]).kill()
    kept = batch // 2
    assert builder("second").finish() == [
        f"{kept} of 4 shards of features are there from an earlier run; the trunk makes the others.",
        *STARTS[2 * kept :],
        "built",
    ]
    assert whole_bytes(tmp_path / "store") == whole_bytes(tmp_path / "whole")
    assert not list((tmp_path / "store" / "features" / IDENTITY.key).glob(".*.tmp"))


def test_one_that_waits_goes_on_where_a_killed_one_stopped(builder: Callable[..., Builder]) -> None:
    first, second = builder("first", pause="20"), builder("second")
    second.wait_for(WAITING)
    first.kill()
    assert second.finish()[-5:] == [*STARTS[4:], "built"]


def test_what_another_process_uses_is_neither_evicted_nor_cleaned_until_it_is_killed(
    builder: Callable[..., Builder], tmp_path: Path
) -> None:
    reader, cache = builder("reader", pause="built"), CacheFolder(tmp_path / "store")
    [entry] = cache.entries()
    assert entry.in_use
    os.utime(entry.folder, (1000, 1000))
    open_store(tmp_path / "store", budget_bytes=0).build(replace(IDENTITY, seed=1), compute)
    cleaning = cache.clean(lambda entry: True)
    assert [kept.folder for kept in cleaning.kept] == [entry.folder]
    assert len(cleaning.removed) == 1
    reader.kill()
    assert [entry.in_use for entry in cache.entries()] == [False]
    assert len(cache.clean(lambda entry: True).removed) == 1
    assert cache.entries() == []


def test_half_built_features_that_a_process_is_writing_are_not_cleaned(
    builder: Callable[..., Builder], tmp_path: Path
) -> None:
    writer = builder("writer", pause="12")
    cleaning = CacheFolder(tmp_path / "store").clean(lambda entry: not entry.is_whole)
    assert (len(cleaning.removed), len(cleaning.kept)) == (0, 1)
    assert writer.finish() == [*STARTS, "built"]


def test_the_wish_to_stop_is_heard_while_waiting(builder: Callable[..., Builder], tmp_path: Path) -> None:
    def stop() -> None:
        raise Interrupted(signal.SIGINT)

    builder("first", pause="0")
    with pytest.raises(Interrupted):
        open_store(tmp_path / "store").build(IDENTITY, compute, check=stop)


@pytest.mark.slow
def test_four_processes_at_once_compute_every_batch_once(builder: Callable[..., Builder]) -> None:
    several = [builder(str(number)) for number in range(4)]
    lines = [line for one in several for line in one.finish()]
    assert sorted(line for line in lines if line.isdigit()) == sorted(STARTS)
    assert lines.count("built") == 4
