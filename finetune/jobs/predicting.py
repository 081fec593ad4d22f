"""Scores of the images of one part, as rows of a predictions table."""

from collections.abc import Iterable

import pandas as pd

from finetune.evaluation import score_column
from finetune.jobs.planning import Preview
from finetune.jobs.sources import SourceMaker
from finetune.training import predict_scores


def predict_parts(made: Preview, maker: SourceMaker, frozen_sha256: str, splits: Iterable[str]) -> pd.DataFrame:
    """Scores of every image of `splits`: plain softmax of the saved model in fp32."""
    labels, tables = made.dataset.labels, []
    made.backbone.model.eval()
    for split, source in maker.parts(splits, made.cut, frozen_sha256).items():
        with maker.watch.measure("evaluate"):
            scores = predict_scores(made.cut.eval_tail, source)
        table = made.dataset.part(split)[["path", "label", "group", "split"]].reset_index(drop=True)
        table["predicted"] = [labels[index] for index in scores.argmax(1)]
        columns = pd.DataFrame(scores, columns=[score_column(label) for label in labels])
        tables.append(pd.concat([table, columns], axis=1))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
