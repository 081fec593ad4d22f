"""Scores of the images of one part, as rows of a predictions table."""

from collections.abc import Iterable

import pandas as pd

from finetune.evaluation import with_calibrated_scores
from finetune.jobs.data_settings import further_columns
from finetune.jobs.planning import Preview
from finetune.jobs.score_table import tabulate_scores
from finetune.jobs.sources import SourceMaker
from finetune.training import predict_scores


def predict_parts(made: Preview, maker: SourceMaker, frozen_sha256: str, splits: Iterable[str]) -> pd.DataFrame:
    """Scores of every image of `splits`: plain softmax of the saved model in fp32, and calibrated ones.

    Further columns of the data, which the recipe asks for, stand beside them.
    """
    labels, further, tables = made.dataset.labels, further_columns(maker.recipe), list[pd.DataFrame]()
    made.backbone.model.eval()
    for split, source in maker.parts(splits, made.cut, frozen_sha256).items():
        with maker.watch.measure("evaluate"):
            scores = predict_scores(made.cut.eval_tail, source, ranks=maker.ranks)
        tables.append(tabulate_scores(made.dataset.part(split), scores, labels, further))
    return with_calibrated_scores(pd.concat(tables, ignore_index=True), labels) if tables else pd.DataFrame()
