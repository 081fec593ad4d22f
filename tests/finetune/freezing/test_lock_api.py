"""`finetune.freeze`: the lock for a training loop of one's own, in every order of events."""

from typing import Any

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

import finetune
from finetune.errors import FreezeError

POLICIES = ["first-three", "last-two-stages", "head-only", "norm-only", "full", ["stage1", "layer3.*.conv?.weight"]]


def small_resnet() -> ResNet:
    """Four stages of one block, with dropout and stochastic depth."""
    return ResNet(
        BasicBlock,
        (1, 1, 1, 1),
        num_classes=3,
        channels=(8, 8, 16, 16),
        stem_width=8,
        drop_rate=0.2,
        drop_path_rate=0.2,
    )


def batch(size: int = 4) -> torch.Tensor:
    return torch.randn(size, 3, 32, 32)


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    model.train()
    optimizer.zero_grad(set_to_none=True)
    nn.functional.cross_entropy(model(batch()), torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()


class LockMachine(RuleBasedStateMachine):
    """Freeze, unfreeze, change phase, train, evaluate, save and load, in any order."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = small_resnet()
        self.saved: dict[str, Any] | None = None
        self.moved = False

    @initialize(policy=st.sampled_from(POLICIES))
    def lock(self, policy: str | list[str]) -> None:
        self.policy = policy
        self.guard = finetune.freeze(self.model, policy)
        self.optimizer = torch.optim.AdamW(self.guard.parameters(), lr=1e-2)
        self.remember()

    def remember(self) -> None:
        names = self.guard.plan.frozen_parameters | self.guard.plan.frozen_buffers
        self.frozen = {name: tensor.clone() for name, tensor in self.model.state_dict().items() if name in names}

    @rule(policy=st.sampled_from(POLICIES))
    def change_phase(self, policy: str | list[str]) -> None:
        before = {id(parameter): dict(self.optimizer.state[parameter]) for parameter in self.optimizer.state}
        self.guard.change(policy, self.optimizer)
        self.policy = policy
        for parameter, state in self.optimizer.state.items():
            assert before[id(parameter)].keys() == state.keys()
        self.remember()

    @rule(steps=st.integers(1, 2))
    def train(self, steps: int) -> None:
        before = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        for _ in range(steps):
            train_step(self.model, self.optimizer)
        learning = self.guard.plan.trainable_parameters
        after = self.model.state_dict()
        assert any(not torch.equal(after[name], before[name]) for name in learning)

    @rule()
    def evaluate(self) -> None:
        self.model.eval()
        with torch.no_grad():
            images = batch()
            assert torch.equal(self.model(images), self.model(images))

    @rule(mode=st.booleans())
    def set_mode(self, mode: bool) -> None:
        nn.Sequential(self.model).train(mode)

    @rule()
    def save(self) -> None:
        model = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.saved = {"policy": self.policy, "model": model, "optimizer": self.optimizer.state_dict()}

    @precondition(lambda self: self.saved is not None)
    @rule()
    def load(self) -> None:
        assert self.saved is not None
        self.model = small_resnet()
        self.model.load_state_dict(self.saved["model"])
        self.lock(self.saved["policy"])
        try:
            self.optimizer.load_state_dict(self.saved["optimizer"])
        except ValueError:  # the phases before the save left another order of groups; a new optimizer is fair
            self.optimizer = torch.optim.AdamW(self.guard.parameters(), lr=1e-2)

    @rule(policy=st.sampled_from(POLICIES))
    def unfreeze_and_lock_again(self, policy: str | list[str]) -> None:
        self.guard.release()
        assert all(parameter.requires_grad for parameter in self.model.parameters())
        self.model.train()
        assert all(module.training for module in self.model.modules())
        self.lock(policy)

    @invariant()
    def frozen_bytes_are_what_they_were(self) -> None:
        if hasattr(self, "guard"):
            self.guard.verify()
            state = self.model.state_dict()
            assert all(torch.equal(state[name], tensor) for name, tensor in self.frozen.items())

    @invariant()
    def nothing_frozen_is_in_reach_of_training(self) -> None:
        if hasattr(self, "guard"):
            held = [id(parameter) for group in self.optimizer.param_groups for parameter in group["params"]]
            parameters = dict(self.model.named_parameters())
            assert sorted(held) == sorted(id(parameters[name]) for name in self.guard.plan.trainable_parameters)
            assert {id(parameter) for parameter in self.optimizer.state} <= set(held)
            assert all(parameters[name].grad is None for name in self.guard.plan.frozen_parameters)
            assert not any(parameters[name].requires_grad for name in self.guard.plan.frozen_parameters)

    @invariant()
    def frozen_modules_sleep(self) -> None:
        if hasattr(self, "guard"):
            awake = {name for name, module in self.model.named_modules() if module.training}
            assert awake.isdisjoint(self.guard.plan.eval_modules)


TestLockMachine = LockMachine.TestCase
TestLockMachine.settings = settings(max_examples=200, stateful_step_count=10, deadline=None)


def test_a_changed_frozen_value_is_named() -> None:
    model = small_resnet()
    lock = finetune.freeze(model, "first-three")
    lock.verify()
    with torch.no_grad():
        model.get_parameter("layer1.0.conv1.weight")[0, 0, 0, 0] += 1e-6
    with pytest.raises(FreezeError, match=r"layer1\.0\.conv1\.weight"):
        lock.verify()
    with pytest.raises(FreezeError, match="have changed"):
        lock.change("full")


def test_a_moved_frozen_buffer_is_named() -> None:
    model = small_resnet()
    lock = finetune.freeze(model, "first-three")
    model.get_buffer("layer1.0.bn1.num_batches_tracked").add_(1)
    with pytest.raises(FreezeError, match=r"layer1\.0\.bn1\.num_batches_tracked"):
        lock.verify()


def test_trunk_and_tail_give_what_the_module_gives() -> None:
    model = small_resnet().eval()
    lock = finetune.freeze(model, "last-two-stages")
    trunk, tail = lock.cut(batch(2))
    images = batch()
    with torch.inference_mode():
        assert torch.equal(tail(*trunk(images)), model(images))
    assert {id(parameter) for parameter in tail.parameters() if parameter.requires_grad} == {
        id(parameter) for parameter in lock.parameters()
    }


def test_no_cut_says_why() -> None:
    with pytest.raises(FreezeError, match="freezes nothing"):
        finetune.freeze(small_resnet(), "full").cut(batch(2))


def test_moving_statistics_of_frozen_norms_end_the_trunk_and_are_no_part_of_the_proof() -> None:
    model = small_resnet()
    lock = finetune.freeze(model, "first-three", norm="train")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train_step(model, torch.optim.SGD(lock.parameters(), lr=0.1))
    after = model.state_dict()
    assert not torch.equal(after["layer1.0.bn1.running_mean"], before["layer1.0.bn1.running_mean"])
    assert torch.equal(after["layer1.0.bn1.weight"], before["layer1.0.bn1.weight"])
    lock.verify()
    trunk, _ = lock.cut(batch(2))
    assert [tuple(feature.shape[1:]) for feature in trunk(batch(2))] == [(64, 16, 16)]


def test_a_parameter_that_is_averaged_or_clipped_is_one_that_learns() -> None:
    from finetune.training.averaging import WeightAverage

    model = small_resnet()
    lock = finetune.freeze(model, "first-three")
    average = WeightAverage(model, 0.5)
    assert average.values.keys() == lock.plan.trainable_parameters
    train_step(model, torch.optim.SGD(lock.parameters(), lr=0.1))
    average.update(0)
    name = "fc.weight"
    raw = model.get_parameter(name).detach().clone()
    assert not torch.equal(average.values[name], raw)
    with average.applied():
        assert torch.equal(model.get_parameter(name), average.values[name])
    assert torch.equal(model.get_parameter(name), raw)
    lock.verify()
