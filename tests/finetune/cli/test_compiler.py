"""torch's compiler stays out of a command that compiles nothing, and is whole for one that does."""

import subprocess
import sys

import pytest

_BEGIN = """
import sys
from finetune.cli.compiler import NAME, defer_compiler
defer_compiler()
def is_loaded():
    return f"{NAME}.convert_frame" in sys.modules
"""
_STEP = """
import torch, torchvision, timm
layer = torch.nn.Linear(3, 2)
optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
optimizer.zero_grad()
layer(torch.ones(4, 3)).sum().backward()
before = layer.weight.detach().clone()
optimizer.step()
assert not torch.equal(before, layer.weight)
"""
_USES = {
    "an attribute": "import torch; assert torch._dynamo.config.recompile_limit > 0",
    "a module inside": "from torch._dynamo.backends.registry import lookup_backend; lookup_backend('eager')",
    "torch.compile": (
        "import torch\n"
        "graphs = []\n"
        "def note(graph, inputs):\n"
        "    graphs.append(graph)\n"
        "    return graph.forward\n"
        "double = torch.compile(lambda value: value + value, backend=note)\n"
        "assert double(torch.ones(2)).tolist() == [2, 2] and len(graphs) == 1"
    ),
    "what torchvision asks": "from torchvision.ops.roi_align import is_compile_supported as ask; assert ask('cpu') < 2",
}


def run_program(program: str) -> tuple[int, str]:
    """Exit code of a process of its own, and what it said of its end."""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    return found.returncode, found.stderr


def test_networks_and_optimizers_work_without_it() -> None:
    code, told = run_program(f"{_BEGIN}{_STEP}assert not is_loaded()")
    assert code == 0, told


@pytest.mark.parametrize("use", _USES)
def test_it_is_there_for_whoever_needs_it(use: str) -> None:
    code, told = run_program(f"{_BEGIN}{_USES[use]}\nassert is_loaded()\n{_STEP}")
    assert code == 0, told


def test_one_that_is_loaded_is_left_alone() -> None:
    code, told = run_program(f"import torch._dynamo as real\n{_BEGIN}assert sys.modules[NAME] is real")
    assert code == 0, told
