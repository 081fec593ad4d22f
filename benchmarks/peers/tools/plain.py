"""The plain PyTorch loop of the official transfer-learning tutorial, with the first three stages locked.

As there: SGD at 0.001 with momentum 0.9, a tenth of it after 7 epochs, batches of 4, random resized crops and flips,
`requires_grad=False` and `model.train()`. The tutorial picks its best epoch on its test images; here the last counts.
Batches of 16 would be faster, and end lower: balanced accuracy 0.39 against 0.56 on the first cut of bccd_wbc.
"""

import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torchvision import transforms

from benchmarks.peers.tools.freezing import freeze
from benchmarks.peers.tools.images import (
    TaskImages,
    Transform,
    create_backbone,
    data_config,
    evaluation_transform,
    make_loader,
    predict_test,
)
from benchmarks.peers.tools.task import Task, read_task, write_results

EPOCHS, BATCH_SIZE, LEARNING_RATE = 10, 4, 1e-3


def main(task: Task) -> None:
    torch.manual_seed(task.seed)
    epochs, batch_size, policy = task.epochs or EPOCHS, task.batch_size or BATCH_SIZE, task.policy or "first-three"
    model = create_backbone(task, len(task.labels))
    optimizer = torch.optim.SGD(freeze(model, task.model, policy), lr=LEARNING_RATE, momentum=0.9)
    schedule = StepLR(optimizer, step_size=7, gamma=0.1)
    loader = make_loader(TaskImages(task, "train", training_transform(task, model)), batch_size, shuffle=True)
    criterion = nn.CrossEntropyLoss()
    for _ in range(epochs):
        model.train()
        for images, targets in loader:
            optimizer.zero_grad()
            criterion(model(images.contiguous(memory_format=torch.channels_last)), targets).backward()
            optimizer.step()
        schedule.step()
    scores = predict_test(task, model, evaluation_transform(task, model))
    settings = {
        "policy": policy,
        "optimizer": f"SGD {LEARNING_RATE:g}, momentum 0.9, StepLR(7, 0.1)",
        "batch_size": batch_size,
        "augmentation": "RandomResizedCrop, RandomHorizontalFlip",
        "memory": "channels-last",
    }
    write_results(task, scores, settings, epochs=epochs, views=epochs)


def training_transform(task: Task, model: nn.Module) -> Transform:
    """The tutorial's transform with the values that the weights expect."""
    config = data_config(task, model)
    transform: Transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(config["input_size"][-1]),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(config["mean"], config["std"]),
        ]
    )
    return transform


if __name__ == "__main__":
    main(read_task())
