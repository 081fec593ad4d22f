"""Hugging Face `Trainer` with `TimmWrapperForImageClassification`, everything learning.

`TrainingArguments` as they are: AdamW at 5e-5, falling linearly, batches of 8; the image processor's own transforms;
a model folder as the hub would give it, made from the weights file.
"""

import json
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor
from transformers import (
    TimmWrapperConfig,
    TimmWrapperForImageClassification,
    TimmWrapperImageProcessor,
    Trainer,
    TrainingArguments,
    set_seed,
)

from benchmarks.peers.tools.freezing import is_frozen
from benchmarks.peers.tools.images import EVALUATION_BATCH, WORKERS, TaskImages
from benchmarks.peers.tools.task import Task, read_task, write_results

EPOCHS, BATCH_SIZE = 10, 8


def main(task: Task) -> None:
    set_seed(task.seed)
    epochs, batch_size = task.epochs or EPOCHS, task.batch_size or BATCH_SIZE
    model, processor = load(task)
    if task.policy:
        for name, parameter in model.timm_model.named_parameters():
            parameter.requires_grad = not is_frozen(name, task.model, task.policy)
    arguments = TrainingArguments(
        output_dir=str(task.out / "trainer"),
        num_train_epochs=epochs,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=EVALUATION_BATCH,
        remove_unused_columns=False,
        dataloader_num_workers=WORKERS,
        dataloader_persistent_workers=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=task.seed,
    )
    trainer = Trainer(
        model.to(memory_format=torch.channels_last),
        arguments,
        data_collator=collate,
        train_dataset=TaskImages(task, "train", processor.train_transforms),
    )
    trainer.train()
    logits = trainer.predict(TaskImages(task, "test", processor.val_transforms)).predictions
    settings = {
        "policy": task.policy or "full",
        "optimizer": f"{arguments.optim.value}, {arguments.learning_rate:g}, {arguments.lr_scheduler_type.value}",
        "batch_size": batch_size,
        "augmentation": "train_transforms of TimmWrapperImageProcessor",
        "memory": "channels-last",
    }
    scores = torch.from_numpy(logits).softmax(1).tolist()
    write_results(task, scores, settings, epochs=epochs, views=epochs, packages=["transformers", "accelerate"])


def load(task: Task) -> tuple[TimmWrapperForImageClassification, TimmWrapperImageProcessor]:
    """The model with a new head, and its image processor."""
    known = timm.get_pretrained_cfg(task.model)
    assert known is not None  # a timm model, or the task would have been refused
    config = known.to_dict()
    if task.image_size:
        config["input_size"] = (3, task.image_size, task.image_size)
    processor = TimmWrapperImageProcessor(config, architecture=task.model)
    if not task.is_pretrained:
        made = TimmWrapperConfig.from_dict({"architecture": task.model}, num_labels=len(task.labels))
        return TimmWrapperForImageClassification(made), processor
    folder = task.out / "weights"
    folder.mkdir(parents=True)
    facts = {"architecture": task.model, "num_classes": config["num_classes"], "pretrained_cfg": config}
    (folder / "config.json").write_text(json.dumps(facts), encoding="utf-8")
    (folder / "model.safetensors").symlink_to(Path(task.weights).resolve())
    options: dict[str, Any] = {"num_labels": len(task.labels), "ignore_mismatched_sizes": True}
    return TimmWrapperForImageClassification.from_pretrained(folder, **options), processor


def collate(items: list[tuple[Tensor, int]]) -> dict[str, Tensor]:
    """A batch under the names that the model takes."""
    images = torch.stack([image for image, _ in items]).contiguous(memory_format=torch.channels_last)
    return {"pixel_values": images, "labels": torch.tensor([target for _, target in items])}


if __name__ == "__main__":
    main(read_task())
