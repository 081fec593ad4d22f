"""Backbone and images of a task for a PyTorch loop: two persistent workers, channels-last."""

from collections.abc import Callable
from typing import Any

import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers.tools.task import Task

Transform = Callable[[Image.Image], Tensor]
WORKERS = 2
EVALUATION_BATCH = 32


class TaskImages(Dataset[tuple[Tensor, int]]):
    """The images of one split with their targets."""

    def __init__(self, task: Task, split: str, transform: Transform) -> None:
        self.paths = [task.root / row.path for row in task.part(split)]
        self.targets = task.targets(split)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[index]) as picture:
            return self.transform(picture.convert("RGB")), self.targets[index]


def create_backbone(task: Task, classes: int) -> Any:
    """timm's model with the weights of the task and a new head; without one where `classes` is 0."""
    model: nn.Module = timm.create_model(
        task.model, pretrained=task.is_pretrained, num_classes=classes, **task.timm_options
    )
    return model.to(memory_format=torch.channels_last)


def data_config(task: Task, model: nn.Module) -> dict[str, Any]:
    """What the weights expect of an image: timm's values, and the size that the task may set."""
    config: dict[str, Any] = resolve_data_config({}, model=model)
    if task.image_size:
        config["input_size"] = (3, task.image_size, task.image_size)
    return config


def evaluation_transform(task: Task, model: nn.Module) -> Transform:
    """timm's own transform for evaluation."""
    transform: Transform = create_transform(**data_config(task, model), is_training=False)
    return transform


def make_loader(dataset: Dataset[Any], batch_size: int, *, shuffle: bool = False) -> DataLoader[Any]:
    """A loader with two persistent workers."""
    return DataLoader(dataset, batch_size, shuffle=shuffle, num_workers=WORKERS, persistent_workers=True)


def predict_test(task: Task, model: nn.Module, transform: Transform) -> list[list[float]]:
    """Softmax scores of every test image, in the order of the manifest."""
    model.eval()
    scores: list[list[float]] = []
    with torch.inference_mode():
        for images, _ in make_loader(TaskImages(task, "test", transform), EVALUATION_BATCH):
            scores += model(images.contiguous(memory_format=torch.channels_last)).softmax(1).tolist()
    return scores
