"""Processes that are watched: their memory with that of their children, and what they say when they fail."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from benchmarks.processes import anonymous_bytes, run_finetune

MEGABYTE = 2**20
TWO_PROCESSES = """
import os, sys
held = bytearray(b"x" * (40 * 2**20))
reader, writer = os.pipe()
if os.fork() == 0:
    more = bytearray(b"y" * (30 * 2**20))
    os.write(writer, b"1")
    sys.stdin.read()
    os._exit(0)
os.read(reader, 1)
print("ready", flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="memory is read from /proc")


def test_anonymous_memory_is_that_of_a_process_and_its_children() -> None:
    command = [sys.executable, "-c", TWO_PROCESSES]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        held = anonymous_bytes(process.pid)
        process.communicate(b"")
    own = held.pop(process.pid)
    (child,) = held.values()
    assert 40 * MEGABYTE <= own <= 60 * MEGABYTE
    assert 70 * MEGABYTE <= child <= 90 * MEGABYTE  # what it took from its parent is shown as its own too


def test_a_process_that_is_over_holds_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert sum(anonymous_bytes(process.pid).values()) == 0


def test_a_command_is_run_with_the_given_store_and_its_output_comes_back(tmp_path: Path) -> None:
    run = run_finetune(["recipes", "list"], tmp_path)
    assert "first-three" in run.output
    assert run.seconds > 0
    assert run.peak_anonymous_bytes > MEGABYTE
    assert "TAILTUNE_CACHE" not in os.environ or os.environ["TAILTUNE_CACHE"] != str(tmp_path)


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"exit code 2\n(.|\n)*no such folder or file"):
        run_finetune(["run", str(tmp_path / "nowhere"), "--weights", "none"], tmp_path)
