"""In which arithmetic a network computes: float32, half of it on training views, or float64 for proofs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from finetune.errors import InputError

BF16, FP16, FP32, FP64 = "bf16", "fp16", "fp32", "fp64"
_HALVES = {BF16: torch.bfloat16, FP16: torch.float16}
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
    """The wish, or for `auto` bfloat16 on a CPU that multiplies it natively, else float32.

    It follows from the machine alone, never from a measured second, so that the same command gives the same bytes.
    """
    if wish != "auto":
        return wish
    return BF16 if device.type == "cpu" and multiplies_bf16() else FP32


def check_arithmetic(wish: str, device: torch.device) -> None:
    """Raise InputError for an arithmetic that `device` has not."""
    if wish == FP64 and device.type == "mps":
        raise InputError("train.precision: fp64 is not possible on mps, which has no float64; try --device cpu.")


def working_dtype(arithmetic: str) -> torch.dtype:
    """The type of images, weights and whatever leaves a network: float64 for `fp64`, else float32."""
    return torch.float64 if arithmetic == FP64 else torch.float32


def scoring_arithmetic(arithmetic: str) -> str:
    """The arithmetic of evaluation images where training views have `arithmetic`: `fp32`, or `fp64` where all is."""
    return FP64 if arithmetic == FP64 else FP32


def widened(values: Tensor) -> Tensor:
    """Values of half precision as float32; float32 and float64 as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@contextmanager
def computing_in(arithmetic: str, module: nn.Module, device: torch.device) -> Iterator[None]:
    """Inside, `module` computes in bf16 or fp16 where that costs no accuracy to speak of; its weights stay as they are.

    Which operations keep the type of the weights is torch's choice (autocast), but for depthwise convolutions where
    gradients are wanted: with these in bfloat16 a step takes up to twice as long on a CPU (docs/arithmetic.md).
    """
    if arithmetic not in _HALVES:
        yield
        return
    layers = module.modules() if torch.is_grad_enabled() else ()
    handles = [
        handle
        for layer in layers
        if isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels
        for handle in (layer.register_forward_pre_hook(_leave_half), layer.register_forward_hook(_enter_half))
    ]
    try:
        with torch.autocast(device.type, _HALVES[arithmetic]):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _leave_half(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    torch.set_autocast_enabled(given[0].device.type, False)
    return tuple(tensor.float() for tensor in given)


def _enter_half(_: nn.Module, given: tuple[Tensor, ...], __: Tensor) -> None:
    torch.set_autocast_enabled(given[0].device.type, True)
