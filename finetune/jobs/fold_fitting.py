"""Train one recipe on one fold after another, each from the same weights, over features that are made once."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from data_tools import Dataset
from finetune.backbones import Backbone
from finetune.explaining import Explain, explain_with
from finetune.files import write_csv
from finetune.interrupts import StopRequest
from finetune.jobs.choosing import choose_head
from finetune.jobs.freezing_record import freeze_record
from finetune.jobs.keeping import evaluation_views
from finetune.jobs.planning import Preview, preview
from finetune.jobs.pooling import FeaturePool, PooledSources
from finetune.jobs.predicting import predict_parts
from finetune.jobs.sources import SourceMaker
from finetune.jobs.training import PhaseTrainer
from finetune.progress import Say, Track, labelled, silent
from finetune.timing import Stopwatch
from recipes import Recipe, change_recipe


@dataclass(frozen=True)
class Watching:
    """Who is told of a job, and may stop it."""

    watch: Stopwatch
    track: Track
    say: Say
    stop: StopRequest


@dataclass(frozen=True)
class FoldFit:
    """What one fold gave: scores of its val and test part, its history, the record of its freezing.

    `backbone` holds the weights of this fold until the next one is fitted.
    """

    backbone: Backbone
    predictions: pd.DataFrame
    history: pd.DataFrame
    record: dict[str, object]
    epochs: int
    """Of gradient steps."""
    explain: Explain
    """Draws heat maps of this fold's network, also when others have been fitted since."""


class FoldFitter:
    """Fits `recipe` to folds of the images of `made`, which is as good as new before each.

    What is fitted on images is fitted for each fold anew, in a store of its own: percentiles of deep values, and
    estimated BatchNorm statistics. Where there is no such thing, all folds share the features of all images.
    """

    def __init__(self, data: Path, made: Preview, recipe: Recipe, watching: Watching) -> None:
        self.data, self.made, self.recipe, self.watching = data, made, recipe, watching
        self._drawn = [(module, _copy_state(module)) for module in (made.backbone.model, made.backbone.plain) if module]
        self._pool: FeaturePool | None = None
        maker = self._maker(made, watching.track, watching.say)
        if recipe.data.scaling == "percentiles" or maker.norms_to_adapt():
            self.recipe = maker.settle()
        else:
            check = watching.stop.check
            self._pool = FeaturePool(made, recipe, watching.watch, track=watching.track, say=watching.say, check=check)
            self.recipe = self._pool.recipe

    def fit(self, dataset: Dataset, name: str = "", *, splits: tuple[str, ...] = ("val", "test")) -> FoldFit:
        """Train on the `train` part of `dataset`, and score the images of `splits`."""
        made, maker = self._begin(dataset, name)
        made = choose_head(made, maker.recipe, maker)
        trainer = PhaseTrainer(made, maker.recipe, maker, None, self.watching.stop)
        trained = trainer.train()
        predictions = predict_parts(made, maker, trained.after, splits)
        record = freeze_record(made.plan, made.cut, trained.before, trained.after, trained.proofs, made.backbone.head)
        maker.close()
        return FoldFit(made.backbone, predictions, trained.history, record, trained.epochs, _explainer(made))

    def close(self) -> None:
        """Let go of the features."""
        if self._pool is not None:
            self._pool.close()

    def _begin(self, dataset: Dataset, name: str) -> tuple[Preview, SourceMaker]:
        track = labelled(self.watching.track, name)
        if self._pool is not None:
            for module, state in self._drawn:
                module.load_state_dict(state)
            self._pool.go_over_to(self.made)
            made = replace(self.made, dataset=dataset)
            return made, PooledSources(made, self._pool, track)
        made = self._look_anew(dataset)
        maker = self._maker(made, track, silent)
        maker.adapt_norms()
        return made, maker

    def _maker(self, made: Preview, track: Track, say: Say) -> SourceMaker:
        watching = self.watching
        return SourceMaker(made, self.recipe, watching.watch, track=track, say=say, check=watching.stop.check)

    def _look_anew(self, dataset: Dataset) -> Preview:
        """The preview of a run with the splits of `dataset`; what is left out of it stands as test meanwhile."""
        with TemporaryDirectory() as folder:
            splits, table = Path(folder) / "splits.csv", dataset.table
            write_csv(splits, table[["path"]].assign(split=table["split"].where(table["status"] == "ok", "test")))
            recipe = change_recipe(self.recipe, {"data.splits": str(splits), "data.resplit": False})
            made = preview(self.data, recipe, track=self.watching.track)
        return replace(made, dataset=replace(dataset, scaling=made.dataset.scaling))


def _explainer(made: Preview) -> Explain:
    """Heat maps of the network as it is now; what learnt is kept beside, and lent back when one is asked for."""
    backbone, dataset = made.backbone, made.dataset
    moving = {*made.plan.trainable_parameters, *(name for name, _ in backbone.model.named_buffers())}
    state = _copy_state(backbone.model, moving)
    draw = explain_with(backbone, dataset.labels, evaluation_views(dataset, made.keeping, backbone.preprocessing))

    def explain(path: str, label: str) -> NDArray[np.uint8] | None:
        backbone.model.load_state_dict(state, strict=False)
        return draw(path, label)

    return explain


def _copy_state(module: nn.Module, names: Collection[str] | None = None) -> dict[str, torch.Tensor]:
    """What `module` holds, or of it what `names` names."""
    held = module.state_dict().items()
    return {name: tensor.clone() for name, tensor in held if names is None or name in names}
