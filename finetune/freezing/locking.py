"""Make frozen mean frozen, and prove it."""

import hashlib
from collections.abc import Mapping
from types import MethodType

import torch
from torch import Tensor, nn

from finetune.errors import FreezeError
from finetune.freezing.planning import FreezePlan


def lock_model(model: nn.Module, plan: FreezePlan) -> None:
    """Freeze `model` as `plan` says: no gradients, and eval mode that `.train()` cannot undo.

    Modules are locked one by one, so the lock holds in every container that shares them,
    the trunk and the tail of a cut among them. An earlier lock of the same model is replaced.
    """
    release_model(model)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        parameter.requires_grad_(name in plan.trainable_parameters)
        parameter.grad = None
    model.train()
    for name, module in model.named_modules():
        if name in plan.eval_modules:
            module.training = False
            object.__setattr__(module, "train", MethodType(_stay_in_eval, module))


def release_model(model: nn.Module) -> None:
    """Undo `lock_model`: everything learns, and `.train()` reaches every module again."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    for module in model.modules():
        vars(module).pop("train", None)


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    """In place of `train`: the module stays, those inside it that are not locked follow `mode`."""
    for child in module.children():
        child.train(mode)
    return module


def frozen_digest(model: nn.Module, plan: FreezePlan) -> str:
    """sha256 over name, type, shape and bytes of every frozen parameter and buffer, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in frozen_tensors(model, plan).items():
        digest.update(f"{name}|".encode())
        _update(digest, tensor)
    return digest.hexdigest()


def state_digest(model: nn.Module) -> str:
    """sha256 over every parameter and buffer, as `frozen_digest` has it."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}|".encode())
        _update(digest, tensor)
    return digest.hexdigest()


def _tensor_digest(tensor: Tensor) -> str:
    digest = hashlib.sha256()
    _update(digest, tensor)
    return digest.hexdigest()


def frozen_tensors(model: nn.Module, plan: FreezePlan) -> dict[str, Tensor]:
    """Every frozen parameter and buffer that `model` holds now, by name, in order of name."""
    state = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    return {name: state[name] for name in sorted((plan.frozen_parameters | plan.frozen_buffers) & state.keys())}


def tensor_digests(model: nn.Module, plan: FreezePlan) -> dict[str, str]:
    """sha256 over type, shape and bytes of every frozen parameter and buffer that `model` holds now, by name."""
    return {name: _tensor_digest(tensor) for name, tensor in frozen_tensors(model, plan).items()}


def check_unmoved(model: nn.Module, plan: FreezePlan, before: Mapping[str, str]) -> None:
    """Raise FreezeError, naming the first tensors, where a frozen one has not the digest in `before`."""
    present = tensor_digests(model, plan)
    moved = [name for name, digest in before.items() if present.get(name) != digest]
    if moved:
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        raise FreezeError(f"{len(moved)} frozen tensors have changed: {', '.join(moved[:3])}{more}.")


def _update(digest: "hashlib._Hash", tensor: Tensor) -> None:
    content = tensor.detach().cpu().contiguous()
    digest.update(f"{content.dtype}|{tuple(content.shape)}|".encode())
    digest.update(content.reshape(-1).view(torch.uint8).numpy().tobytes())
