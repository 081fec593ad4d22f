"""Choose between the heads of `head.kind: auto` before the first step."""

from dataclasses import replace

from finetune.backbones import Backbone, find_stages
from finetune.features import FeatureSource, StoredSource
from finetune.freezing import Cut, frozen_digest
from finetune.heads import multi_stage_head
from finetune.jobs.planning import Preview, begin_phase, lock_and_cut, plan_recipe
from finetune.jobs.sources import SourceMaker
from finetune.training.head_choice import compare_heads
from recipes import Recipe


def choose_head(made: Preview, recipe: Recipe, maker: SourceMaker) -> Preview:
    """The preview with the better of both heads, where the recipe leaves the choice; `maker` goes over to it.

    The choice is a function of the training images alone, so a resumed run makes the same one.
    """
    if made.backbone.head == "linear":
        return made
    if recipe.head.kind == "auto":
        cut = begin_phase(made, made.phases[0], recipe)
        train = maker.parts(("train",), cut, frozen_digest(made.backbone.model, made.phases[0].plan))["train"]
        with maker.watch.measure("tail"):
            head = multi_stage_head(made.backbone)
            choice = compare_heads(
                made.backbone.model, head.plain_width, cut.eval_tail, maker.tail_data({"train": train}), recipe.seed
            )
        maker.say(f"Head: linear; {choice}." if isinstance(choice, str) else choice.sentence)
        if isinstance(choice, str) or not choice.is_multi_stage:
            return _with_plain_head(made, recipe, maker, cut, train)
    maker.say("The head looks at every stage: plain timm cannot load model/, finetune.load_model can.")
    return made


def _with_plain_head(made: Preview, recipe: Recipe, maker: SourceMaker, cut: Cut, train: FeatureSource) -> Preview:
    """The same for the plain network, whose body is the same; what crosses both cuts need not be made twice."""
    model = made.backbone.plain
    assert model is not None
    stages = find_stages(made.backbone.name, model, made.backbone.strides)
    backbone: Backbone = replace(made.backbone, model=model, stages=stages, plain=None)
    plan, phases = plan_recipe(backbone, recipe)
    plain_cut = lock_and_cut(backbone, plan, recipe, made.device)
    plain = replace(made, backbone=backbone, plan=plan, cut=plain_cut, phases=phases)
    maker.go_over_to(plain)
    if isinstance(train, StoredSource) and set(plain_cut.names) <= set(cut.names):
        arrays = [train.features[cut.names.index(name)] for name in plain_cut.names]
        maker.hold("train", plain_cut, StoredSource(arrays, train.targets, train.device))
    return plain
