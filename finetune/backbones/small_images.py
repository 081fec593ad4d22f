"""Networks for small images: a stem that keeps the image's resolution, or last stages that keep theirs."""

from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.models.resnet import ResNet
from torch import Tensor, nn

from finetune.backbones.stages import StageMap, map_stages
from finetune.backbones.weights import Weights
from finetune.errors import InputError

SMALL = "small"
_PLAIN_STRIDE = 32
_ENLARGED = 4
"""How many times less a ResNet's ordinary stem resolves than a small one."""
_KERNEL_PARTS = (1, 4, 2)
"""How many of the seven rows of a kernel fall on the pixel before, on its own and on the next, enlarged four times."""
_REFUSALS = (AssertionError, NotImplementedError, TypeError, ValueError)
"""What timm's architectures raise on an `output_stride` that they do not take."""


@dataclass(frozen=True)
class Strides:
    """Where a network steps over the image otherwise than its architecture says."""

    output_stride: int | None = None
    """Pixels of the image to a position of the last map: 8, 16 or 32. What no longer steps is dilated instead, so that
    each filter sees what it saw; None: as the architecture has it."""
    stem: str = "standard"
    """`small`: the first convolution is 3x3 with stride 1, and nothing is pooled before the first stage."""

    @property
    def model_args(self) -> dict[str, int | str]:
        """What `config.json` tells of them; timm takes `output_stride`, and refuses a `stem`, which it cannot build."""
        stride: dict[str, int | str] = {} if self.output_stride is None else {"output_stride": self.output_stride}
        return stride | ({"stem": self.stem} if self.stem == SMALL else {})

    @property
    def words(self) -> tuple[str, ...]:
        """The same for people; nothing where all is as the architecture says."""
        stride: tuple[str, ...] = () if self.output_stride is None else (f"output stride {self.output_stride}",)
        return (*stride, "small stem") if self.stem == SMALL else stride

    def notes(self, pixels: int) -> tuple[str, ...]:
        """What a user should know of an output stride, for images `pixels` high and wide."""
        if self.output_stride is None or self.output_stride == _PLAIN_STRIDE:
            return ()
        text = f"Output stride {self.output_stride}: the last stages keep their resolution, their filters are dilated"
        if pixels * (_ENLARGED if self.stem == SMALL else 1) > _PLAIN_STRIDE:
            return (f"{text}.",)
        return (
            f"{text} and reach past the last map of images of {pixels} pixels: of most there only the middle counts. "
            "For so small images: --set model.stem=small.",
        )


STANDARD = Strides()


def check_strides(name: str, strides: Strides) -> None:
    """Raise InputError where the timm architecture `name`, which must exist, cannot be built with these strides."""
    if strides == STANDARD:
        return
    plain = _sketch(name)
    if strides.stem == SMALL and not isinstance(plain, ResNet):
        raise InputError(
            f"model.stem: {name} is a {type(plain).__name__}; a small stem is known for timm's class ResNet only "
            "(resnet, resnext, seresnet, resnest and the like). Leave model.stem standard."
        )
    if strides.output_stride is None:
        return
    advice = "Leave model.output_stride null, or take a network that has one, such as resnet18 or convnext_tiny."
    try:
        made = _sketch(name, output_stride=strides.output_stride)
    except _REFUSALS as error:
        raise InputError(
            f"model.output_stride: {name} cannot be built with {strides.output_stride}. {advice}"
        ) from error
    is_ignored = strides.output_stride != _PLAIN_STRIDE and str(made) == str(plain)
    if is_ignored or _module_names(made) != _module_names(plain):
        raise InputError(f"model.output_stride: {name} does not take {strides.output_stride}. {advice}")


def find_stages(name: str, model: Any, strides: Strides) -> StageMap:
    """The stages of a timm model: those of the network without an output stride, so that a policy means the same."""
    if strides.output_stride is None:
        return map_stages(model)
    return map_stages(_sketch(name, num_classes=model.num_classes))


def brings_small_stem(table: Weights, model: nn.Module) -> bool:
    """Whether a weights file is of a ResNet that begins with a 3x3 kernel where `model` has another one."""
    kernel = _first_convolution(model).weight
    return kernel.shape[-1] != 3 and any(
        name.endswith("conv1.weight") and tuple(tensor.shape) == (len(kernel), tensor.shape[1], 3, 3)
        for name, tensor in table.items()
        if tensor.dim() == 4 and tensor.shape[1] in (1, 3)
    )


def shrink_stem(model: Any, *, is_drawn: bool) -> str:
    """Make the stem of a ResNet keep the resolution of the image, in place, and say how.

    The first convolution becomes 3x3 with stride 1. A 7x7 kernel of pretrained weights becomes what it computes on the
    image enlarged four times; one that `is_drawn` is drawn anew, as timm draws (He et al. 2015, fan-out). Pooling goes;
    a convolution that pools, as in ResNet-RS, keeps its weights and steps by one.
    """
    first = _first_convolution(model)
    how = "a first convolution of 3x3 pixels with stride 1"
    if first.kernel_size != (3, 3):
        first.weight = nn.Parameter(_drawn_kernel(first.weight) if is_drawn else _folded_kernel(first.weight.detach()))
        first.kernel_size, first.padding = (3, 3), (1, 1)
        how += "" if is_drawn else ", made of the 7x7 one of the weights: what that gives on the image enlarged 4 times"
    first.stride = (1, 1)
    model.maxpool = _without_steps(model.maxpool)
    return f"Small stem: {how}; nothing is pooled. Plain timm cannot load model/, finetune.load_model can."


def _sketch(name: str, **options: Any) -> Any:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return timm.create_model(name, **options)


def _module_names(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_modules()]


def _first_convolution(model: Any) -> Any:
    return model.conv1[0] if isinstance(model.conv1, nn.Sequential) else model.conv1


def _drawn_kernel(like: Tensor) -> Tensor:
    return nn.init.kaiming_normal_(like.new_empty(*like.shape[:2], 3, 3), mode="fan_out", nonlinearity="relu")


def _folded_kernel(kernel: Tensor) -> Tensor:
    """(filters, channels, 3, 3) of (filters, channels, 7, 7): sums over what falls on one pixel when each is 4x4.

    Exact at one of the four positions that the stride of two visits in an enlarged pixel. A crop of the middle would
    not be: it changes the response to a plain area, which the norm layer behind it has learnt.
    """
    rows = torch.stack([part.sum(2) for part in kernel.split(_KERNEL_PARTS, 2)], 2)
    return torch.stack([part.sum(3) for part in rows.split(_KERNEL_PARTS, 3)], 3)


def _without_steps(pool: nn.Module) -> nn.Module:
    if not any(True for _ in pool.parameters()):
        return nn.Identity()
    for layer in pool.modules():
        if isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)
    return pool
