"""Random weights in a file, the same for every tool, where there are no trained ones to compare speed with."""

from pathlib import Path

DRAWN = "drawn"
_SIDE, _BATCHES, _BATCH = 224, 4, 8


def drawn_weights(model: str, work: Path) -> Path:
    """The file below `work` with weights of `model` as timm draws them; made once.

    BatchNorm layers hold the statistics of noise: with those they are born with, maps would grow from layer to layer.
    """
    file = work / DRAWN / f"{model}.safetensors"
    if file.exists():
        return file
    import timm
    import torch
    from safetensors.torch import save_file
    from torch.nn.modules.batchnorm import _BatchNorm

    torch.manual_seed(0)
    network = timm.create_model(model).train()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = None  # the mean over all batches
    with torch.no_grad():
        for _ in range(_BATCHES):
            network(torch.randn(_BATCH, 3, _SIDE, _SIDE))
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), file)
    return file
