"""The rows of predictions.csv: images with their scores."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from finetune.evaluation import score_column


def tabulate_scores(
    images: pd.DataFrame, scores: np.ndarray, labels: Sequence[str], further: Sequence[str] = ()
) -> pd.DataFrame:
    """A row of predictions an image; `scores` (images, classes) in the order of both tables.

    The columns `further` of the images stand behind the scores.
    """
    rows = images.reset_index(drop=True)
    table = rows[["path", "label", "group", "split"]].copy()
    table["predicted"] = [labels[index] for index in scores.argmax(1)]
    columns = pd.DataFrame(scores, columns=[score_column(label) for label in labels])
    return pd.concat([table, columns, rows[list(further)]], axis=1)
