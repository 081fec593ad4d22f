"""The engine for whoever keeps an own training loop: lock a module, train, verify."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from finetune.backbones import map_stages
from finetune.errors import FreezeError
from finetune.freezing.cutting import cut_model
from finetune.freezing.locking import check_unmoved, lock_model, release_model, tensor_digests
from finetune.freezing.planning import FreezePlan, StagedModel, plan_freeze
from finetune.freezing.policy import parse_policy


class Lock:
    """What is frozen of one module, and the proof that it stayed so. Made by `freeze`."""

    def __init__(self, model: nn.Module, policy: str | Sequence[str], *, tail_norm: str, norm: str) -> None:
        self.model = model
        self._tail_norm, self._norm = tail_norm, norm
        self._staged = StagedModel(model, map_stages(model), is_pretrained=True)
        self.plan = self._plan(policy)
        self._apply()

    def parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that learn, each once: what an optimizer shall hold."""
        return (parameter for parameter in self.model.parameters() if parameter.requires_grad)

    def verify(self) -> None:
        """Prove that no frozen byte has changed since the lock was made, or the policy last changed.

        Raises FreezeError naming the first tensors that did.
        """
        check_unmoved(self.model, self.plan, self._before)

    def change(self, policy: str | Sequence[str], optimizer: torch.optim.Optimizer | None = None) -> None:
        """Go over to another policy; what was frozen so far is verified first.

        `optimizer` then holds what learns and nothing else: newly frozen parameters leave it with
        their state, newly learning ones join its first group, the others keep place and state.

        Raises FreezeError when a frozen tensor has changed, or the policy does not fit.
        """
        plan = self._plan(policy)
        self.verify()
        self.plan = plan
        self._apply()
        if optimizer is not None:
            _refill(optimizer, list(self.parameters()))

    def cut(self, example: Tensor) -> tuple[nn.Module, nn.Module]:
        """Trunk and tail: `tail(*trunk(images))` equals the module; both share its parameters.

        `example`: a batch of at least two inputs. The trunk returns a tuple of tensors; run it once
        an image under `torch.inference_mode`. The tail follows `.train()` and `.eval()`.

        Raises FreezeError, with the reason, where there is no exact cut.
        """
        mode = self.model.training
        try:
            cut = cut_model(self.model, self.plan, example)
        finally:
            self.model.train(mode)
        if cut.trunk is None:
            raise FreezeError(f"No trunk can be cut off: {cut.reason}.")
        return cut.trunk, _Tail(cut.train_tail, cut.eval_tail).train(mode)

    def release(self) -> None:
        """Unlock everything; the proof ends here, so what was frozen is verified first."""
        self.verify()
        release_model(self.model)

    def _plan(self, policy: str | Sequence[str]) -> FreezePlan:
        return plan_freeze(self._staged, parse_policy(policy), tail_norm=self._tail_norm, norm=self._norm)

    def _apply(self) -> None:
        mode = self.model.training
        lock_model(self.model, self.plan)
        self.model.train(mode)
        self._before = tensor_digests(self.model, self.plan)


def freeze(
    model: nn.Module, policy: str | Sequence[str] = "first-three", *, tail_norm: str = "fixed", norm: str = "frozen"
) -> Lock:
    """Freeze `model`, any module, as `policy` says, and keep watch over it.

    `policy`: a name (`first-three`, `last-two-stages`, `head-only`, `norm-only`, `full`), or a list
    of stages and globs over parameter names to freeze. `tail_norm`: whether the BatchNorm layers
    that learn keep their statistics ('fixed') or follow the batches ('batch'). `norm`: the same
    for those that are frozen ('frozen' or 'train').

        lock = finetune.freeze(model, "first-three")
        optimizer = torch.optim.AdamW(lock.parameters())
        ...
        lock.verify()

    Raises FreezeError for a policy that does not fit the module.
    """
    return Lock(model, policy, tail_norm=tail_norm, norm=norm)


class _Tail(nn.Module):
    """The tail of a cut: a trace fixes its mode, so there is one for training and one for evaluation."""

    def __init__(self, train_tail: nn.Module, eval_tail: nn.Module) -> None:
        super().__init__()
        self.train_tail, self.eval_tail = train_tail, eval_tail

    def forward(self, *features: Tensor) -> Tensor:
        """Logits (batch, classes)."""
        logits: Tensor = (self.train_tail if self.training else self.eval_tail)(*features)
        return logits


def _refill(optimizer: torch.optim.Optimizer, learning: list[nn.Parameter]) -> None:
    wanted = {id(parameter) for parameter in learning}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) not in wanted:
                optimizer.state.pop(parameter, None)
        group["params"] = [parameter for parameter in group["params"] if id(parameter) in wanted]
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    optimizer.param_groups[0]["params"].extend(parameter for parameter in learning if id(parameter) not in held)
