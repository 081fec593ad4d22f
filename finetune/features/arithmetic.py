"""In which arithmetic training views are computed: float32, or bfloat16 where the processor multiplies it natively."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

BF16, FP32 = "bf16", "fp32"
_NATIVE_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
_CPU_FACTS = Path("/proc/cpuinfo")


def multiplies_bf16(facts: Path = _CPU_FACTS) -> bool:
    """Whether this CPU has instructions for bfloat16 that torch's kernels use; False where the system does not tell."""
    try:
        lines = facts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not _NATIVE_FLAGS.isdisjoint(flags.split())


def choose_arithmetic(wish: str, device: torch.device) -> str:
    """`fp32` or `bf16`: the wish, or for `auto` bfloat16 on a CPU that multiplies it natively.

    It follows from the machine alone, never from a measured second, so that the same command gives the same bytes.
    """
    if wish != "auto":
        return wish
    return BF16 if device.type == "cpu" and multiplies_bf16() else FP32


@contextmanager
def computing_in(arithmetic: str, module: nn.Module, device: torch.device) -> Iterator[None]:
    """Inside, `module` computes in `arithmetic` where that costs no accuracy to speak of; its weights stay float32.

    Which operations stay in float32 is torch's choice (autocast), but for depthwise convolutions where gradients
    are wanted: with these in bfloat16 a step takes up to twice as long on a CPU (docs/arithmetic.md).
    """
    if arithmetic != BF16:
        yield
        return
    layers = module.modules() if torch.is_grad_enabled() else ()
    handles = [
        handle
        for layer in layers
        if isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels
        for handle in (layer.register_forward_pre_hook(_leave_bf16), layer.register_forward_hook(_enter_bf16))
    ]
    try:
        with torch.autocast(device.type, torch.bfloat16):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _leave_bf16(_: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    torch.set_autocast_enabled(given[0].device.type, False)
    return tuple(tensor.float() for tensor in given)


def _enter_bf16(_: nn.Module, given: tuple[torch.Tensor, ...], __: torch.Tensor) -> None:
    torch.set_autocast_enabled(given[0].device.type, True)
