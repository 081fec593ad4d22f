"""A tail of a real network with features of real digits, ready to be fitted."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional

from finetune.backbones import Backbone, load_backbone
from finetune.features import StoredSource
from finetune.freezing import Cut, FreezePlan, cut_model, lock_model, parse_policy, plan_freeze
from finetune.training import TailData, TailFitter
from recipes import Phase, TrainSettings

CPU = torch.device("cpu")
DIGITS = (0, 1, 8)


@dataclass(frozen=True)
class Tail:
    """A network with stem and stage1..3 frozen, and what its tail learns from: 30 digits, and 12 for validation."""

    backbone: Backbone
    plan: FreezePlan
    cut: Cut
    data: TailData

    def fitter(self, settings: TrainSettings, **further: object) -> TailFitter:
        """A fitter of it."""
        stages = self.backbone.stages.parameters
        return TailFitter(self.backbone.model, self.plan, settings, 0, stages, **further)  # type: ignore[arg-type]

    def fit(self, fitter: TailFitter) -> None:
        """Fit to the end of one phase; the weights of the last step stay in the model."""
        settings = fitter.settings
        phase = Phase(0, "first-three", 1, settings.epochs, settings.learning_rate)
        fitter.fit_phase(phase, self.cut, self.data, is_last=True)

    def logits(self) -> Tensor:
        """Of the images of validation."""
        assert self.data.val is not None
        ((features, _),) = self.data.val.batches(range(12), [0] * 12, 12)
        with torch.inference_mode():
            return self.cut.eval_tail.eval()(*features)  # type: ignore[no-any-return]


def make_tail(name: str = "resnet18", weights: str = "none", size: int = 32) -> Tail:
    """The same for the same arguments; channels last in memory, as in a run."""
    backbone = load_backbone(name, weights, len(DIGITS), image_size=size)
    backbone.model.to(memory_format=torch.channels_last)
    plan = plan_freeze(backbone, parse_policy("first-three"))
    lock_model(backbone.model, plan)
    images, targets = _digits(size)
    cut = cut_model(backbone.model, plan, images[:2])
    assert cut.trunk is not None
    with torch.inference_mode():
        features = [feature[:, None].numpy() for feature in cut.trunk(images)]
    train, val = (
        StoredSource([feature[part] for feature in features], targets[part], CPU)
        for part in (slice(0, 30), slice(30, 42))
    )
    return Tail(backbone, plan, cut, TailData(train, val, len(DIGITS)))


def _digits(size: int) -> tuple[Tensor, Tensor]:
    """Scanned digits as images (42, 3, size, size), and their classes."""
    digits = load_digits()
    places = np.flatnonzero(np.isin(digits.target, DIGITS))[:42]
    grey = torch.from_numpy(digits.images[places].astype(np.float32) / 8 - 1)[:, None]
    images = functional.interpolate(grey, size=size, mode="bilinear").expand(-1, 3, -1, -1)
    targets = torch.tensor([DIGITS.index(target) for target in digits.target[places]])
    return images.contiguous(memory_format=torch.channels_last), targets
