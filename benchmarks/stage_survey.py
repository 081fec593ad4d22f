"""Stages and plan of every architecture that timm lists, on the meta device: no weights, no arithmetic."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import timm
import torch
from timm.models import model_entrypoint
from torch import nn

from finetune.backbones import STAGES, StageMap, map_stages
from finetune.errors import FreezeError, NoClassifierError
from finetune.freezing import StagedModel, parse_policy, plan_freeze


@dataclass(frozen=True)
class StageRow:
    """One architecture: the rule that named its stages, or the reason why none did."""

    name: str
    file: str
    rule: str = ""
    reason: str = ""
    takes_classifier: bool = True

    @property
    def is_resolved(self) -> bool:
        """Whether all six stages own parameters and the plan is whole."""
        return not self.reason


def model_file(name: str) -> str:
    """The module of `timm.models` that registers `name`."""
    return str(model_entrypoint(name).__module__.rpartition(".")[2])


def survey_stages(names: Iterable[str]) -> Iterator[StageRow]:
    """One row for each timm model in `names`, created with 1,000 classes."""
    for name in names:
        with torch.device("meta"):
            model = timm.create_model(name, num_classes=1000)
        try:
            stages = map_stages(model)
            yield StageRow(name, model_file(name), stages.rule, reason=_fault(model, stages))
        except NoClassifierError as error:
            yield StageRow(name, model_file(name), reason=str(error), takes_classifier=False)
        except FreezeError as error:
            yield StageRow(name, model_file(name), reason=str(error))


def _fault(model: nn.Module, stages: StageMap) -> str:
    """What is wrong with the stages or the plan of first-three; empty where nothing is."""
    parameters = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    buffers = [name for name, _ in model.named_buffers(remove_duplicate=False)]
    if stages.empty_stages:
        return f"no parameter in {', '.join(stages.empty_stages)}"
    if list(stages.parameters) != parameters or list(stages.buffers) != buffers:
        return "a parameter or buffer without a stage"
    if not set(STAGES).issuperset([*stages.parameters.values(), *stages.buffers.values(), *stages.modules.values()]):
        return "a stage of another name"
    plan = plan_freeze(StagedModel(model, stages), parse_policy("first-three"))
    learning = {name for name, stage in stages.parameters.items() if stage in STAGES[4:]}
    if not learning <= plan.trainable_parameters or plan.frozen_parameters | plan.trainable_parameters != set(
        parameters
    ):
        return "the plan of first-three is not whole"
    return ""
