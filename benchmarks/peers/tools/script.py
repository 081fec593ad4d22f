"""What an expert writes first: features of one view from timm, and scikit-learn's logistic regression.

The regularization is chosen by scikit-learn's cross-validation, in folds that keep groups together.
"""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.peers.tools.images import (
    EVALUATION_BATCH,
    TaskImages,
    create_backbone,
    evaluation_transform,
    make_loader,
)
from benchmarks.peers.tools.task import Task, read_task, write_results

SETTINGS = {
    "features": "pooled, of the evaluation view, batches of 32, channels-last",
    "classifier": "StandardScaler, LogisticRegressionCV, 10 strengths, class_weight=balanced, max_iter=1000, n_jobs=2",
    "folds": "StratifiedGroupKFold(5)",
}


def main(task: Task) -> None:
    torch.manual_seed(task.seed)
    model = create_backbone(task, classes=0).eval()
    features = {}
    with torch.inference_mode():
        for split in ("train", "test"):
            images = TaskImages(task, split, evaluation_transform(task, model))
            batches = [
                model(batch.contiguous(memory_format=torch.channels_last))
                for batch, _ in make_loader(images, EVALUATION_BATCH)
            ]
            features[split] = torch.cat(batches).numpy()
    targets, groups = task.targets("train"), [row.group for row in task.part("train")]
    smallest = min(len({group for group, own in zip(groups, targets, strict=True) if own == one}) for one in targets)
    folds = StratifiedGroupKFold(min(5, smallest), shuffle=True, random_state=task.seed)
    search = LogisticRegressionCV(
        cv=list(folds.split(features["train"], targets, groups)),
        class_weight="balanced",
        max_iter=1000,
        n_jobs=2,
        scoring="neg_log_loss",
        use_legacy_attributes=False,
    )
    classifier = make_pipeline(StandardScaler(), search).fit(features["train"], np.array(targets))
    scores = classifier.predict_proba(features["test"]).tolist()
    write_results(task, scores, SETTINGS, epochs=0, views=1, packages=["scikit-learn"])


if __name__ == "__main__":
    main(read_task())
