"""Cut the smallest model of each of timm's files, and compare the two parts with the whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg_value
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchmarks.stage_survey import model_file
from finetune.backbones import StageMap, map_stages
from finetune.errors import FreezeError
from finetune.features import fold_norms
from finetune.freezing import Cut, StagedModel, cut_model, lock_model, parse_policy, plan_freeze

POLICIES = ("first-three", "scattered")
CLASSES = 10
CUT_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
FOLD_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
_IMAGE_SIZES = (64, 96, 128, 192, 224)
_DROP_RATES: tuple[dict[str, float], ...] = (
    {"drop_rate": 0.2, "drop_path_rate": 0.2},
    {"drop_path_rate": 0.2},
    {"drop_rate": 0.2},
    {},
)


@dataclass(frozen=True)
class CutRow:
    """One file's smallest model under one policy: the largest relative errors, or the reason why it is not cut."""

    file: str
    model: str
    policy: str
    image_size: int
    features: int = 0
    errors: dict[str, float] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    reason: str = ""

    @property
    def is_exact(self) -> bool:
        """Whether the model is cut and every comparison held."""
        return not self.reason and not self.faults


def smallest_models(names: Iterable[str]) -> dict[str, str]:
    """The model with fewest parameters of each file, among those of `names` that take a classifier."""
    best: dict[str, tuple[int, str]] = {}
    for name in names:
        with torch.device("meta"):
            model = timm.create_model(name, num_classes=CLASSES)
        if not hasattr(model, "reset_classifier"):
            continue
        size = sum(parameter.numel() for parameter in model.parameters())
        best[model_file(name)] = min(best.get(model_file(name), (size, name)), (size, name))
    return {file: name for file, (_, name) in sorted(best.items())}


def survey_cuts(models: dict[str, str], policies: Iterable[str] = POLICIES) -> Iterator[CutRow]:
    """One row for each file and policy; `models` gives the model of each file."""
    for file, name in models.items():
        size, options = smallest_input(name)
        for policy in policies:
            yield _survey(file, name, policy, size, options)


def smallest_input(name: str) -> tuple[int, dict[str, Any]]:
    """The smallest image that the architecture takes, and options for it: dropout and drop-path where it has them."""
    full: int = (get_pretrained_cfg_value(name, "input_size") or (3, 224, 224))[-1]
    for size in (*(size for size in _IMAGE_SIZES if size < full), full):
        for sized in ({"img_size": size}, {}):
            for drops in _DROP_RATES:
                if _runs(name, size, {**sized, **drops}):
                    return size, {**sized, **drops}
    return full, {}


def _runs(name: str, size: int, options: dict[str, Any]) -> bool:
    try:
        with torch.device("meta"), torch.no_grad():
            model = timm.create_model(name, num_classes=CLASSES, **options).eval()
            model(torch.empty(2, 3, size, size))
    except Exception:  # an architecture refuses a size or an option in whatever way it likes
        return False
    return True


def _survey(file: str, name: str, policy: str, size: int, options: dict[str, Any]) -> CutRow:
    errors: dict[str, float] = {}
    faults: list[str] = []
    features = 0
    for dtype in (torch.float64, torch.float32):
        model = make_model(name, options, dtype)
        try:
            cut = cut_under(model, policy, draw_images(2, size, dtype, seed=1))
        except FreezeError as error:
            return CutRow(file, name, policy, size, reason=str(error))
        if cut.trunk is None:
            return CutRow(file, name, policy, size, reason=cut.reason)
        features = len(cut.shapes)
        found = compare(model, cut, draw_images(3, size, dtype, seed=2))
        bits = str(dtype).removeprefix("torch.float")
        errors.update({f"{what} {bits}": error for what, error in found.items()})
        limits = {what: FOLD_TOLERANCE if what == "folded" else CUT_TOLERANCE for what in found}
        faults += [f"{what} {bits}: {error:.1e}" for what, error in found.items() if not error <= limits[what][dtype]]
    return CutRow(file, name, policy, size, features, errors, tuple(faults))


def make_model(name: str, options: dict[str, Any], dtype: torch.dtype) -> nn.Module:
    """A model whose norm statistics have moved and whose constant parameters, zero heads among them, have too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: nn.Module = timm.create_model(name, num_classes=CLASSES, **options).to(dtype)
        with torch.no_grad():
            for parameter in model.parameters():
                if bool(parameter.min() == parameter.max()):
                    parameter.add_(torch.randn_like(parameter), alpha=0.02)
            for module in model.modules():
                if (
                    isinstance(module, _BatchNorm)
                    and module.running_mean is not None
                    and module.running_var is not None
                ):
                    module.running_mean.normal_(std=0.1)
                    module.running_var.uniform_(0.5, 2.0)
    return model


def draw_images(count: int, size: int, dtype: torch.dtype, seed: int) -> Tensor:
    """Images (count, 3, size, size) of white noise, the same in every type."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, size, size, generator=generator, dtype=torch.float64).to(dtype)


def cut_under(model: nn.Module, policy: str, example: Tensor) -> Cut:
    """Plan, lock and cut `model`; 'scattered' is made of its own parameter names."""
    stages = map_stages(model)
    wish: str | list[str] = scattered_patterns(model, stages) if policy == "scattered" else policy
    plan = plan_freeze(StagedModel(model, stages), parse_policy(wish), tail_norm="fixed")
    lock_model(model, plan)
    return cut_model(model, plan, example)


def scattered_patterns(model: nn.Module, stages: StageMap) -> list[str]:
    """Stem and stage1, all of stage2 and stage3 but every fourth module, and the vectors of stage4."""
    patterns = ["stem", "stage1"]
    for stage in ("stage2", "stage3"):
        owners = list(dict.fromkeys(name.rpartition(".")[0] for name, own in stages.parameters.items() if own == stage))
        patterns += [f"{owner}.*" for number, owner in enumerate(owners) if number % 4 != 1 and owner]
    vectors = [name for name, parameter in model.named_parameters() if parameter.ndim == 1]
    return patterns + [name for name in vectors if stages.parameters[name] == "stage4"]


def compare(model: nn.Module, cut: Cut, images: Tensor) -> dict[str, float]:
    """Largest errors relative to the largest value: both tails, the folded trunk, and the trunk run twice."""
    assert cut.trunk is not None
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        features = [feature.clone() for feature in cut.trunk.eval()(images)]
        torch.manual_seed(3)
        again = cut.trunk.train()(images)
        folded = fold_norms(cut.trunk.eval())(images)
        found = {
            "again": max(0.0 if torch.equal(one, other) else 1.0 for one, other in zip(features, again, strict=True)),
            "folded": max(_relative(one, other) for one, other in zip(features, folded, strict=True)),
        }
        for tail, mode in ((cut.eval_tail, "eval"), (cut.train_tail, "train")):
            model.train(mode == "train")
            tail.train(mode == "train")
            torch.manual_seed(4)
            whole = model(images)
            torch.manual_seed(4)
            found[mode] = _relative(whole, tail(*(feature.clone() for feature in features)))
    return found


def _relative(expected: Tensor, found: Tensor) -> float:
    return float((expected - found).abs().max() / expected.abs().max())
