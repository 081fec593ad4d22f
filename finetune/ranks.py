"""The processes that train together: one alone, or those that torchrun has started for one command."""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from finetune.errors import InputError, TailtuneError

if TYPE_CHECKING:
    from accelerate import Accelerator

Result = TypeVar("Result")
Item = TypeVar("Item")

_LONGEST_WAIT = timedelta(days=2)
"""The first process scans the data while the others wait; torch's own limit of minutes is for a training alone."""


class Ranks:
    """This process among those that train together, by `number` from 0; without an accelerator it is alone.

    Each has the whole recipe and all files. Images are dealt out one by one: process `r` of `n` has the images r,
    r + n, r + 2n, ... of a part, and the same places of every batch.
    """

    def __init__(self, accelerator: "Accelerator | None" = None) -> None:
        self._accelerator = accelerator
        self.number: int = 0 if accelerator is None else accelerator.process_index
        self.count: int = 1 if accelerator is None else accelerator.num_processes

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and speaks."""
        return self.number == 0

    def own(self, items: Sequence[Item]) -> Sequence[Item]:
        """What of `items` falls to this process."""
        return items[self.number :: self.count]

    def only_first(self, work: Callable[[], Result]) -> Result:
        """What `work` gives in the first process, in all of them; an error there ends the others too."""
        if self.count == 1:
            return work()
        made: Result | None = None
        if self.is_first:
            try:
                made = work()
            except Exception:
                self._tell(is_done=False, made=None)
                raise
        told: Result = self._tell(is_done=True, made=made)
        return told

    def first_then_others(self, work: Callable[[], Result]) -> Result:
        """What `work` gives in each process; the others begin once the first is done and find what it has stored."""
        own: list[Result] = []
        self.only_first(lambda: own.append(work()))
        return own[0] if own else work()

    def wait(self) -> None:
        """Until every process is here."""
        if self._accelerator is not None:
            self._talk(self._accelerator.wait_for_everyone)

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """The sums over all processes, in float64."""
        if self._accelerator is None:
            return list(numbers)
        own = torch.tensor(numbers, dtype=torch.float64, device=self._accelerator.device)
        return [float(value) for value in self._talk(self._accelerator.reduce, own, reduction="sum")]

    def gather(self, rows: Tensor) -> Tensor:
        """All rows in their order, of those that each process has `own` of them: (rows of all, ...)."""
        if self.count == 1:
            return rows
        from accelerate.utils import gather_object

        parts: list[Tensor] = self._talk(gather_object, [rows])
        whole = parts[0].new_empty((sum(len(part) for part in parts), *parts[0].shape[1:]))
        for number, part in enumerate(parts):
            if len(part):  # of fewer rows than processes, the last ones have none and do not know their shape
                whole[number :: self.count] = part
        return whole

    def share(self, tail: nn.Module) -> nn.Module:
        """`tail` as all processes train it: the gradients of a step are their means (DistributedDataParallel).

        Raises InputError where BatchNorm layers learn from statistics of a batch: each process would have its own.
        """
        if self._accelerator is None:
            return tail
        tail.train()
        moving = [name for name, module in tail.named_modules() if isinstance(module, _BatchNorm) and module.training]
        if moving:
            raise InputError(
                f"{len(moving)} BatchNorm layers ({moving[0]}, ...) would learn from the statistics of a batch, of "
                f"which each of {self.count} processes sees a part. Use --set freeze.tail_norm=fixed, or one process."
            )
        shared: nn.Module = self._accelerator.prepare_model(tail, device_placement=False)
        return shared

    def check_batch(self, size: int) -> None:
        """Raise InputError for batches that cannot be dealt out evenly."""
        if size % self.count:
            raise InputError(
                f"train.batch_size is {size}, which {self.count} processes cannot share evenly; it is the size of the "
                f"batch of all of them together. Try --batch-size {-(-size // self.count) * self.count}."
            )

    def _tell(self, *, is_done: bool, made: Any) -> Any:
        """What the first process has made; what others say is not heard."""
        from accelerate.utils import broadcast_object_list

        is_done, made = self._talk(broadcast_object_list, [is_done, made])
        if not is_done and not self.is_first:
            raise TailtuneError("The first process has ended; see its message.")
        return made

    def _talk(self, call: Callable[..., Result], *given: Any, **named: Any) -> Result:
        try:
            return call(*given, **named)
        except RuntimeError as error:  # what torch.distributed raises where a connection is lost
            raise TailtuneError(
                f"Another process of this training has ended ({str(error).splitlines()[0]})."
            ) from error


ALONE = Ranks()


def count_processes() -> int:
    """How many processes torchrun has started for this command; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Whether this process is to speak, told before any has met the others."""
    return int(os.environ.get("RANK", "0")) == 0


def join_ranks(device: str) -> Ranks:
    """Meet the other processes that torchrun has started; `device` as in a recipe."""
    if count_processes() == 1:
        return ALONE
    from accelerate import Accelerator, InitProcessGroupKwargs

    is_cpu = device == "cpu" or not torch.cuda.is_available()
    return Ranks(Accelerator(cpu=is_cpu, kwargs_handlers=[InitProcessGroupKwargs(timeout=_LONGEST_WAIT)]))
