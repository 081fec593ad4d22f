"""The plain head against the multi-stage head, as probes: balanced accuracy out of fold, one evaluation view an image.

python -m benchmarks.heads --weights ../shared/weights/tf_efficientnet_lite0.safetensors DATA[@COLUMN]...

`@COLUMN` names the groups in DATA/metadata.csv, such as chest_xray_pneumonia@patient. Every image is used, in five
folds by group; the strength of a probe is chosen by folds inside the other four. Classes of fewer than five images are
left out. It checks the features, it chooses no default.
"""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold

from data_tools import DatasetSettings, build_evaluation_pipeline, prepare_dataset
from finetune.backbones import Backbone, load_backbone
from finetune.features import FreshSource, ImageViews, Viewer
from finetune.heads import add_multi_stage_head, multi_stage_head
from finetune.training.head_first import pool_views
from finetune.training.probe import ProbeData, solve_probe

_FOLDS = 5


def read_images(data: Path, column: str) -> tuple[Path, pd.DataFrame]:
    """The root and the usable rows of all splits, each with a group, of classes that are in every fold."""
    metadata = data / "metadata.csv" if column else None
    made = prepare_dataset(data, DatasetSettings(metadata=metadata, group=column or None, resplit=True))
    rows = made.table[made.table["status"] == "ok"]
    rows = rows[rows.groupby("label")["path"].transform("size") >= _FOLDS]
    return made.root, rows.assign(group=rows["group"].where(rows["group"] != "", rows["sha256"]))


def pool_stages(backbone: Backbone, root: Path, rows: pd.DataFrame) -> NDArray[np.float32]:
    """What the multi-stage head of `backbone` is given of the evaluation view of each image: (images, features)."""
    viewer = Viewer(build_evaluation_pipeline(backbone.preprocessing), seed=0, workers=2)
    images = ImageViews(root, [str(path) for path in rows["path"]], viewer, views=(0,))
    source = FreshSource(images, torch.zeros(len(rows), dtype=torch.long), None, torch.device("cpu"))
    model = backbone.model.eval()
    pooled = pool_views(model, model, source, np.arange(len(rows)))
    if isinstance(pooled, str):
        raise SystemExit(pooled)
    return pooled[1][:, 0]


def probe_out_of_fold(features: NDArray[np.float32], rows: pd.DataFrame, seed: int) -> float:
    """Balanced accuracy of probes, each fitted to four folds, on the fifth."""
    classes, targets = np.unique(rows["label"], return_inverse=True)
    groups, predicted = rows["group"].to_numpy(), np.empty_like(targets)
    for inside, outside in StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed).split(
        targets, targets, groups
    ):
        probe = solve_probe(ProbeData(features[inside][:, None], targets[inside], groups[inside], len(classes)), seed)
        predicted[outside] = (features[outside] @ probe.weight.T + probe.bias).argmax(1)
    return float(balanced_accuracy_score(targets, predicted))


@click.command()
@click.argument("data", nargs=-1, required=True)
@click.option("--model", default="tf_efficientnet_lite0", show_default=True)
@click.option("--weights", default="embedded", show_default=True)
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), show_default=True, help="Cuts into folds.")
def main(data: Sequence[str], model: str, weights: str, seeds: Sequence[int]) -> None:
    """Print a table in Markdown: one row a set, mean over the cuts and each of them."""
    backbone = add_multi_stage_head(load_backbone(model, weights, 2), 2)
    backbone.model.to(memory_format=torch.channels_last)
    width = multi_stage_head(backbone).plain_width
    click.echo("| set | images | last stage | all stages |\n|---|---|---|---|")
    for text in data:
        path, _, column = text.partition("@")
        root, rows = read_images(Path(path), column)
        every = pool_stages(backbone, root, rows)
        cells = []
        for features in (every[:, -width:], every):
            values = [probe_out_of_fold(features, rows, seed) for seed in seeds]
            cells.append(f"{np.mean(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})")
        click.echo(f"| {Path(path).name} | {len(rows)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
