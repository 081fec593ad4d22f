"""A table as a chest X-ray study gives it: patients with one to five images, sites, validation and test."""

import numpy as np
import pandas as pd

from tests.finetune.evaluation.drawn_tables import softmax

CHEST = ("NORMAL", "PNEUMONIA")


def make_chest(seed: int = 0, labels: tuple[str, ...] = CHEST, patients: int = 60, mixed: float = 0.0) -> pd.DataFrame:
    """`patients` in test and half as many in validation; a share `mixed` of the images has another label."""
    rng, rows = np.random.default_rng(seed), []
    for split, count in (("val", patients // 2), ("test", patients)):
        for patient in range(count):
            usual, ease = int(rng.integers(len(labels))), rng.normal(size=len(labels)) * 0.6
            site = str(rng.choice(["Ulm", "Lyon", ""], p=[0.6, 0.3, 0.1]))
            for number in range(int(rng.integers(1, 6))):
                k = (usual + 1) % len(labels) if rng.random() < mixed else usual
                logits = 2.5 * np.eye(len(labels))[k] + 1.5 * (ease + rng.normal(size=len(labels)) * 0.7)
                scores = softmax(logits[None])[0]
                path, group = f"{labels[k]}/{split}-{patient}-{number}.jpeg", f"{split}-{patient}"
                rows.append([path, labels[k], group, split, site, labels[int(scores.argmax())], *scores])
    names = ["path", "label", "group", "split", "site", "predicted", *(f"score_{label}" for label in labels)]
    return pd.DataFrame(rows, columns=names)
