"""Grad-CAM: which positions of the last stage speak for a class (Selvaraju et al., 2017)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from finetune.backbones import Backbone
from finetune.explaining.last_maps import evaluated, heard_maps, to_grid

Floats = NDArray[np.float32]


def explain_image(backbone: Backbone, image: Tensor, target: int) -> Floats | str:
    """How much each place of an image speaks for class `target`: (height, width), 0 to 1; or why it cannot be told.

    `image`: (channels, height, width), as the network wants it. What the map of the last stage has above 0, divided by
    its largest value and enlarged to the image: no probability, and not to be compared between images. All 0 where
    nothing speaks for the class.
    """
    signed = class_map(backbone, image, target)
    if isinstance(signed, str):
        return signed
    speaking = signed.relu()
    share = speaking / speaking.max().clamp(min=torch.finfo(speaking.dtype).tiny)
    heat: Floats = interpolate(share[None, None], image.shape[1:], mode="bilinear", align_corners=False)[0, 0].numpy()
    return heat


def class_map(backbone: Backbone, image: Tensor, target: int) -> Tensor | str:
    """Grad-CAM's map (rows, columns) before its ReLU: the sum of the channels, each weighed by its mean gradient.

    Gradients are taken of the logit with respect to the values of the last stage, so it does not matter what is frozen;
    parameters, their gradients, buffers, modes and hooks stay as they are. Taken is the last value that has positions
    on which the logit depends: a class token reads the others for the last time inside the last block. Float32 on the
    CPU, or the reason why there is none.
    """
    held = next(backbone.model.parameters())
    given = image[None].to(held.device, held.dtype, memory_format=torch.channels_last).requires_grad_()
    with evaluated(backbone.model), heard_maps(backbone) as heard, torch.enable_grad():
        score = backbone.model(given)[0, target]
        for value in reversed(heard):
            (gradient,) = torch.autograd.grad(score, value, retain_graph=True, allow_unused=True)
            made = None if gradient is None else _weigh(backbone, value.detach(), gradient, image.shape[1:])
            if made is not None:
                return made
    return "no value of the last stage has positions that the score depends on"


def _weigh(backbone: Backbone, value: Tensor, gradient: Tensor, image: torch.Size) -> Tensor | None:
    """The map of one value; None where it has no positions, or the score depends on none of them."""
    activations, slopes = (to_grid(one, backbone, image) for one in (value, gradient))
    if activations is None or slopes is None or not bool(slopes.any()):
        return None
    return torch.einsum("c,chw->hw", slopes.mean((1, 2)), activations).float().cpu()
