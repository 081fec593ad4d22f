"""fastai: `vision_learner(...).fine_tune(5)` with its documented defaults.

As in its vision tutorial: images resized to 460, then `aug_transforms(size=224)`; a fifth of the training images
is its validation set, drawn at random; one epoch on the head, five on everything. Batches of 16: its default of 64
leaves two steps an epoch on the smallest set here (balanced accuracy 0.63 there, against 0.79 with 16).
"""

from functools import partial

import pandas as pd
from fastai.callback.all import ChannelsLast
from fastai.vision.all import (
    ImageDataLoaders,
    L,
    Learner,
    Resize,
    aug_transforms,
    error_rate,
    params,
    set_seed,
    vision_learner,
)
from torch import nn

from benchmarks.peers.tools.freezing import is_frozen
from benchmarks.peers.tools.images import WORKERS
from benchmarks.peers.tools.task import Task, read_task, write_results

FINE_TUNE_EPOCHS, BATCH_SIZE, VALIDATION = 5, 16, 0.2
SAME_WORK_VALIDATION = 0.02


def main(task: Task) -> None:
    set_seed(task.seed)
    batch_size, size = task.batch_size or BATCH_SIZE, task.image_size or 224
    train = pd.DataFrame([(row.path, row.label) for row in task.part("train")], columns=["path", "label"])
    loaders = ImageDataLoaders.from_df(
        train,
        path=task.root,
        fn_col="path",
        label_col="label",
        valid_pct=SAME_WORK_VALIDATION if task.policy else VALIDATION,
        seed=task.seed,
        item_tfms=Resize(460),
        batch_tfms=aug_transforms(size=size),
        bs=batch_size,
        num_workers=WORKERS,
        persistent_workers=True,
    )
    options = {"pretrained": task.is_pretrained, "metrics": error_rate, "cbs": ChannelsLast(), **task.timm_options}
    if task.policy:
        options |= {"splitter": partial(split_parameters, model_name=task.model, policy=task.policy), "train_bn": False}
    learner = vision_learner(loaders, task.model, **options)
    with learner.no_bar(), learner.no_logging():
        epochs, method = _fit(learner, task)
        files = [task.root / row.path for row in task.part("test")]
        scores = learner.get_preds(dl=loaders.test_dl(files))[0]
    places = [list(loaders.vocab).index(label) for label in task.labels]
    settings = {
        "method": method,
        "batch_size": batch_size,
        "augmentation": f"Resize(460), aug_transforms(size={size})",
        "validation": f"{SAME_WORK_VALIDATION if task.policy else VALIDATION:.0%} of the training images, at random",
        "memory": "channels-last",
    }
    write_results(
        task, scores[:, places].tolist(), settings, epochs=epochs, views=epochs, packages=["fastai", "fastcore"]
    )


def _fit(learner: Learner, task: Task) -> tuple[int, str]:
    """Train; returns the number of epochs and how it was done."""
    if task.policy:
        epochs = task.epochs or 2 * FINE_TUNE_EPOCHS
        learner.unfreeze() if task.policy == "full" else learner.freeze()
        learner.fit_one_cycle(epochs)
        return epochs, f"fit_one_cycle({epochs}), {task.policy}"
    epochs = task.epochs or FINE_TUNE_EPOCHS
    learner.fine_tune(epochs)
    return epochs + 1, f"fine_tune({epochs})"


def split_parameters(model: nn.Sequential, model_name: str, policy: str) -> L:
    """Two groups, frozen and learning; fastai's body is timm's model without its classifier, below `0.model.`."""
    held: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model[0].named_parameters():
        held[is_frozen(name.removeprefix("model."), model_name, policy)].append(parameter)
    return L(held[True], held[False] + params(model[1]))


if __name__ == "__main__":
    main(read_task())
