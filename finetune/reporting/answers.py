"""What the model said of each image: its answer, how sure it was, and what it held for second best."""

import numpy as np
import pandas as pd

from finetune.evaluation import score_column
from finetune.evaluation.predictions import LABEL, PATH, PREDICTED

SCORE, TRUE_SCORE = "score", "true_score"
FIRST, FIRST_SCORE, SECOND, SECOND_SCORE = "first", "first_score", "second", "second_score"


def list_answers(rows: pd.DataFrame, labels: tuple[str, ...]) -> pd.DataFrame:
    """A row an image: path, label, predicted, the scores of the answer and of the true class, and the two classes
    of highest score with theirs. Scores are NaN, and the two classes empty, where the predictions hold none."""
    answers = rows[[PATH, LABEL, PREDICTED]].astype(str).reset_index(drop=True)
    columns = [score_column(label) for label in labels]
    if len(labels) < 2 or not set(columns) <= set(rows.columns):
        unknown = dict.fromkeys((SCORE, TRUE_SCORE, FIRST_SCORE, SECOND_SCORE), np.nan)
        return answers.assign(**unknown, **{FIRST: "", SECOND: ""})
    scores, image = rows[columns].to_numpy(dtype=np.float64, copy=True), np.arange(len(rows))
    places = pd.Index(labels, dtype=object)
    told = {
        name: scores[image, places.get_indexer(pd.Index(answers[column], dtype=object))]
        for name, column in ((SCORE, PREDICTED), (TRUE_SCORE, LABEL))
    }
    for name, name_score in ((FIRST, FIRST_SCORE), (SECOND, SECOND_SCORE)):
        best = scores.argmax(axis=1)
        told |= {name: places.to_numpy()[best], name_score: scores[image, best]}
        scores[image, best] = -np.inf
    return answers.assign(**told)
