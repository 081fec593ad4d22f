"""Which parts of a graph draw random numbers or look at more than one image of the batch."""

from typing import Any

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

_DRAWS = {
    "rand",
    "randn",
    "randint",
    "randperm",
    "rand_like",
    "randn_like",
    "randint_like",
    "normal",
    "bernoulli",
    "multinomial",
    "poisson",
} | {
    f"{name}_"
    for name in ("normal", "uniform", "bernoulli", "random", "exponential", "geometric", "cauchy", "log_normal")
}
_DROPPING = {"dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout"} | {
    "feature_alpha_dropout",
    "drop_path",
    "rrelu",
}
_RATES = ("p", "drop_prob", "prob", "dropout")
DROPPING_MODULES = ("DropPath", "PatchDropout", "PatchDropoutWithIndices", "DropBlock2d")
"""timm's random modules, by class name: models have copies of their own."""


def module_varies(module: nn.Module) -> bool:
    """Whether `module`, seen alone and in training mode, is random or normalises by its batch."""
    if isinstance(module, (_BatchNorm, nn.FractionalMaxPool2d, nn.RReLU)):
        return True
    can_drop = isinstance(module, (_DropoutNd, nn.MultiheadAttention, nn.RNNBase))
    if not can_drop and type(module).__name__ not in DROPPING_MODULES:
        return False
    rates = [getattr(module, name) for name in _RATES if isinstance(getattr(module, name, None), (int, float))]
    return any(rate > 0 for rate in rates)


def call_draws(node: fx.Node) -> bool:
    """Whether the function or method that `node` calls is random as it is called."""
    name = _called(node)
    if name in _DRAWS:
        return True
    if name == "scaled_dot_product_attention":
        return bool(_argument(node, "dropout_p", 4, 0.0))
    if name in _DROPPING:
        rate = _argument(node, "drop_prob" if name == "drop_path" else "p", 1, 0.5)
        return bool(rate) and bool(_argument(node, "training", 3 if name == "rrelu" else 2, True))
    return False


def call_mixes(node: fx.Node) -> bool:
    """Whether the call normalises its input by its batch; weights are standardised by the same function."""
    return _called(node) == "batch_norm" and bool(_argument(node, "training", 5, False))


def _called(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")


def _argument(node: fx.Node, name: str, position: int, default: Any) -> Any:
    return node.kwargs.get(name, node.args[position] if len(node.args) > position else default)
