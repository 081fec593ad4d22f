"""A feature pyramid over the four stages of a network: a backbone for torchvision's detection heads."""

import copy
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, FeaturePyramidNetwork, LastLevelMaxPool

from data_tools import Preprocessing
from finetune.backbones import STAGES, Backbone, describe_backbone
from finetune.errors import InputError
from finetune.freezing import (
    FreezePlan,
    check_unmoved,
    frozen_throughout,
    lock_model,
    parse_policy,
    plan_freeze,
    tensor_digests,
)
from finetune.heads import load_model
from recipes import list_phases, load_recipe

_STRIDES = (4, 8, 16, 32)
_RECIPE = "recipe.yaml"
_DEFAULT_POLICY = "first-three"
_POOL = LastLevelMaxPool()

Policy = str | Sequence[str]


class Pyramid(nn.Module):
    """The maps of four stages, and a feature pyramid over them. Made by `pyramid`.

    `out_channels` is what torchvision's detectors ask for; `preprocessing` has the mean and the standard deviation that
    the weights expect of images (a detector takes them as `image_mean` and `image_std`); `plan` says what is frozen.
    """

    def __init__(
        self,
        body: nn.Module,
        levels: Sequence[int],
        fpn: FeaturePyramidNetwork,
        out_channels: int,
        *,
        plan: FreezePlan,
        preprocessing: Preprocessing,
    ) -> None:
        super().__init__()
        self.body, self.levels, self.fpn = body, list(levels), fpn
        self.out_channels, self.plan, self.preprocessing = out_channels, plan, preprocessing
        self._before = tensor_digests(body, plan)

    def maps(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """What stage1 to stage4 give: (batch, channels, height / stride, width / stride) each, named "0" to "3".

        The names are those of torchvision's detectors. `images`: (batch, channels, height, width); no gradient goes
        back to them, so nothing is recorded until the first parameter that learns.
        """
        body: Any = self.body
        found = body.forward_intermediates(images.detach(), indices=self.levels, intermediates_only=True)
        return OrderedDict((str(number), made) for number, made in enumerate(found))

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """The levels of the pyramid, finest first: (batch, `out_channels`, ...) each; then the extra blocks'."""
        levels: OrderedDict[str, Tensor] = self.fpn(self.maps(images))
        return levels

    def verify(self) -> None:
        """Prove that no frozen byte has changed; raises FreezeError naming the first tensors that did."""
        check_unmoved(self.body, self.plan, self._before)


def pyramid(
    run_or_model: Path | str | Backbone | nn.Module,
    freeze: Policy | None = None,
    *,
    out_channels: int = 256,
    extra_blocks: ExtraFPNBlock | None = _POOL,
    seed: int = 0,
) -> Pyramid:
    """A feature pyramid (Lin et al. 2017, arXiv 1612.03144) over a finished run, a Backbone or a timm model.

    The network is copied and loses its classifier. Each of its four maps gets a 1x1 lateral convolution of its own,
    drawn from `seed`; `extra_blocks` are torchvision's (default: one more level by subsampling, which Faster R-CNN's
    anchors expect; None: four levels). `freeze`: a policy as `finetune.freeze` takes it; default: for a run what it
    kept frozen throughout, else `first-three`. What is frozen stays in evaluation mode and without gradient whatever
    is called on the pyramid, and every BatchNorm layer keeps its statistics: a detector's batch is too small to
    estimate them anew.

    Raises InputError where the folder holds no run, or the network has no maps of several strides, as a plain vision
    transformer; WeightsError for a model that is broken; FreezeError for a policy that does not fit.
    """
    if isinstance(run_or_model, (str, Path)):
        backbone, policies = _read_run(Path(run_or_model))
    else:
        backbone, policies = _as_backbone(run_or_model), [_DEFAULT_POLICY]
    plan = _plan(backbone, policies if freeze is None else [freeze])
    network = backbone.model if backbone.plain is None else backbone.plain
    rows = _tapped_rows(backbone, network)
    levels, widths = [index for index, _ in rows], [int(row["num_chs"]) for _, row in rows]
    body = _without_classifier(network, levels)
    lock_model(body, plan)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fpn = FeaturePyramidNetwork(widths, out_channels, extra_blocks)
    fpn.to(next(body.parameters()))
    return Pyramid(body, levels, fpn, out_channels, plan=plan, preprocessing=backbone.preprocessing)


def _read_run(folder: Path) -> tuple[Backbone, list[Policy]]:
    """The network that a run saved, and the policy of each of its phases."""
    if not (folder / _RECIPE).is_file():
        raise InputError(
            f"{folder} holds no run (no {_RECIPE}); give the folder that `finetune run` wrote, "
            "or what finetune.load_model reads."
        )
    return load_model(folder / "model"), [phase.policy for phase in list_phases(load_recipe(folder / _RECIPE))]


def _as_backbone(given: Backbone | nn.Module) -> Backbone:
    if isinstance(given, Backbone):
        return given
    config: Any = getattr(given, "pretrained_cfg", None)
    if not isinstance(config, dict):
        raise InputError(
            f"{type(given).__name__} is no network of timm (no pretrained_cfg), so its maps are not known; "
            "give a run, a Backbone or a model of timm.create_model."
        )
    return describe_backbone(str(config["architecture"]), given, is_pretrained=True)


def _plan(backbone: Backbone, policies: Sequence[Policy]) -> FreezePlan:
    """What stays frozen under every one of the policies."""
    plans = [plan_freeze(backbone, parse_policy(policy), tail_norm="fixed") for policy in policies]
    return frozen_throughout(backbone, plans, plans[0].policy) if len(plans) > 1 else plans[0]


def _tapped_rows(backbone: Backbone, network: nn.Module) -> list[tuple[int, dict[str, Any]]]:
    """Index and row of timm's `feature_info` for the map at the end of each of the four stages.

    Those of strides 4, 8, 16 and 32; where a network has others, the last row of each stage.
    """
    info: Any = getattr(network, "feature_info", None) or []
    by_stride = {int(row["reduction"]): (index, row) for index, row in enumerate(info)}
    by_stage = {backbone.stages.modules.get(row["module"]): (index, row) for index, row in enumerate(info)}
    if hasattr(network, "forward_intermediates"):
        if by_stride.keys() >= set(_STRIDES):
            return [by_stride[stride] for stride in _STRIDES]
        if by_stage.keys() >= set(STAGES[1:5]) and len(by_stride) > 1:
            return [by_stage[stage] for stage in STAGES[1:5]]
    seen = f"strides {', '.join(map(str, by_stride))}" if by_stride else "none"
    raise InputError(
        f"{backbone.name} gives no map at the end of each of four stages of growing stride (timm tells {seen}), which "
        "a feature pyramid is built on; choose a hierarchical network, such as resnet50 or tf_efficientnet_lite0."
    )


def _without_classifier(network: nn.Module, levels: Sequence[int]) -> nn.Module:
    """A copy of `network` that holds what its maps need and nothing behind them."""
    body: Any = copy.deepcopy(network)
    if hasattr(body, "prune_intermediate_layers"):
        body.prune_intermediate_layers(list(levels), prune_norm=True)
    kept: nn.Module = body
    return kept
