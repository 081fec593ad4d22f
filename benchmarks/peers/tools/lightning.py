"""Lightning with its `BackboneFinetuning` callback.

As its documentation has it: Adam at 0.001 on the head alone, the backbone joins at a tenth of that rate, which grows
by half each epoch until it is the head's. It joins after 5 of the 10 epochs, as in Lightning's transfer-learning
example; at the callback's default, epoch 10, it never would. Batches of 8, as in that example.
"""

import lightning
import torch
from lightning.pytorch.callbacks import BackboneFinetuning, Callback
from torch import Tensor, nn

from benchmarks.peers.tools.freezing import is_frozen
from benchmarks.peers.tools.images import TaskImages, create_backbone, evaluation_transform, make_loader, predict_test
from benchmarks.peers.tools.plain import training_transform
from benchmarks.peers.tools.task import Task, read_task, write_results

EPOCHS, BATCH_SIZE, LEARNING_RATE, UNFREEZE_AT = 10, 8, 1e-3, 5


class Classifier(lightning.LightningModule):
    """A timm backbone without its classifier, and a new one."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.backbone = create_backbone(task, classes=0)
        self.head = nn.Linear(self.backbone.num_features, len(task.labels))
        self.has_policy = task.policy is not None
        if task.policy:
            for name, parameter in self.backbone.named_parameters():
                parameter.requires_grad = not is_frozen(name, task.model, task.policy)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, targets = batch
        return nn.functional.cross_entropy(self(images.contiguous(memory_format=torch.channels_last)), targets)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The head alone, for the callback to add the backbone to; with a policy, all that learns."""
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return torch.optim.Adam(learning if self.has_policy else self.head.parameters(), lr=LEARNING_RATE)


def main(task: Task) -> None:
    lightning.seed_everything(task.seed, verbose=False)
    epochs, batch_size = task.epochs or EPOCHS, task.batch_size or BATCH_SIZE
    model = Classifier(task)
    callbacks: list[Callback] = []
    if not task.policy:
        callbacks = [BackboneFinetuning(min(UNFREEZE_AT, epochs - 1), grow, backbone_initial_ratio_lr=0.1)]
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=task.out,
    )
    transform = training_transform(task, model.backbone)
    trainer.fit(model, make_loader(TaskImages(task, "train", transform), batch_size, shuffle=True))
    scores = predict_test(task, model, evaluation_transform(task, model.backbone))
    settings = {
        "policy": task.policy or f"BackboneFinetuning at epoch {UNFREEZE_AT}, times 1.5 an epoch, from a tenth",
        "optimizer": f"Adam {LEARNING_RATE:g}",
        "batch_size": batch_size,
        "augmentation": "RandomResizedCrop, RandomHorizontalFlip",
        "memory": "channels-last",
    }
    write_results(task, scores, settings, epochs=epochs, views=epochs, packages=["lightning"])


def grow(epoch: int) -> float:
    """The factor on the backbone's learning rate in each epoch after it joined."""
    return 1.5


if __name__ == "__main__":
    main(read_task())
