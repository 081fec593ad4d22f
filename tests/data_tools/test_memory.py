"""Memory that was freed is used again, in place of pages that are mapped anew."""

import subprocess
import sys

import pytest

from data_tools.memory import keep_freed_memory

COUNT = """
import resource, sys
import torch
from data_tools.memory import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(10):
    torch.ones(2**24)  # 64 MB
before = faults()
for _ in range(50):
    torch.ones(2**24)
print(faults() - before)
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="the C library is not glibc")
def test_large_tensors_map_no_new_pages() -> None:
    faults = {
        kind: int(subprocess.run([sys.executable, "-c", COUNT, kind], capture_output=True, check=True).stdout)
        for kind in ("kept", "as it is")
    }
    assert faults["kept"] < 100
    assert faults["as it is"] > 20 * 100  # 64 MB are 16,384 pages, or 32 huge ones
