"""A command's process: it ends with the right code, says everything, and leaves out what nobody waits for."""

import gc
import subprocess
import sys

import pytest

from finetune.cli.process import importing

_PROGRAM = """
import atexit, sys, threading, time
import finetune.cli.process as process

class Slow:
    def __del__(self):
        print("taken apart")

slow = Slow()
slow.itself = slow  # found by the interpreter's last look for garbage alone

def main():
    atexit.register(print, "handler")
    threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
    print("main", flush=False)
    {ending}

process.main = main
process.run_process()
"""


@pytest.mark.parametrize(
    ("ending", "code"),
    [("sys.exit(0)", 0), ("sys.exit(4)", 4), ("raise ValueError('a fault of ours')", 1), ("return", 0)],
)
def test_threads_handlers_and_output_come_before_the_end_and_nothing_after(ending: str, code: int) -> None:
    program = _PROGRAM.format(ending=ending)
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == code
    assert found.stdout.split() == ["main", "thread", "handler"]
    assert ("ValueError: a fault of ours" in found.stderr) == ("raise" in ending)


def test_the_command_ends_with_the_code_of_its_error() -> None:
    command = [sys.executable, "-m", "finetune", "run", "nowhere"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("DataError: nowhere: no such folder or file")


def test_imports_are_done_without_a_look_for_garbage_which_then_goes_on() -> None:
    frozen = gc.get_freeze_count()
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen
    with pytest.raises(ImportError), importing():
        raise ImportError("no such module")
    assert gc.isenabled()
    gc.unfreeze()
