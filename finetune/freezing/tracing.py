"""Trace a timm model into a torch.fx graph, with what must stay whole kept whole."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from timm.layers import get_notrace_functions, get_notrace_modules
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from finetune.errors import FreezeError
from finetune.freezing.randomness import DROPPING_MODULES

_WHOLE = (*get_notrace_modules(), _BatchNorm, _DropoutNd)


class BackboneTracer(fx.Tracer):
    """torch.fx's tracer with timm's leaf modules, norm layers and everything that drops at random as leaves."""

    def __init__(self) -> None:
        functions = tuple(function for function in get_notrace_functions() if callable(function))
        super().__init__(autowrap_functions=functions)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether `m` becomes one node of the graph."""
        return (
            isinstance(m, _WHOLE)
            or type(m).__name__ in DROPPING_MODULES
            or super().is_leaf_module(m, module_qualified_name)
        )


class TracedNetwork(fx.GraphModule):
    """A network that is run from its graph, the same in training and in evaluation mode."""


def trace_model(model: nn.Module) -> fx.GraphModule:
    """The graph of `model` in the mode it is in; modules are shared with it, not copied.

    Raises FreezeError, with the reason, where Python control flow depends on the data.
    """
    if isinstance(model, TracedNetwork):
        copied = fx.Graph()
        copied.output(copied.graph_copy(model.graph, {}))
        return fx.GraphModule(model, copied)
    try:
        with untouched_attributes(model):
            graph = BackboneTracer().trace(model, concrete_args=_defaults_but_image(model))
    except Exception as error:  # tracing runs the model's own Python on proxies: it may raise anything
        raise FreezeError(f"its graph cannot be traced ({type(error).__name__}: {_first_line(error)})") from error
    _keep_one_input(graph)
    return fx.GraphModule(model, graph)


@contextmanager
def untouched_attributes(model: nn.Module) -> Iterator[None]:
    """Empty the caches that modules keep of tensors, and afterwards put every plain attribute back.

    Some modules remember what they computed: LeViT its attention biases, others the last size they
    saw. Neither the tracer's stand-ins nor values of other weights may stay behind.
    """
    before = {module: _plain_attributes(module) for module in model.modules()}
    contents = [(value, dict(value)) for kept in before.values() for value in kept.values() if isinstance(value, dict)]
    for cache, content in contents:
        if any(isinstance(item, Tensor) for item in content.values()):
            cache.clear()
    try:
        yield
    finally:
        for module, kept in before.items():
            for name in _plain_attributes(module).keys() - kept.keys():
                del vars(module)[name]
            vars(module).update(kept)
        for cache, content in contents:
            cache.clear()
            cache.update(content)


def _plain_attributes(module: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if not name.startswith("_") and name != "training"}


def _defaults_but_image(model: nn.Module) -> dict[str, Any]:
    """The defaults of every argument of `forward` after the image: masks, flags."""
    arguments = list(inspect.signature(model.forward).parameters.values())[1:]
    return {
        argument.name: argument.default
        for argument in arguments
        if argument.kind not in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL)
    }


def _keep_one_input(graph: fx.Graph) -> None:
    """Remove the inputs that were given as constants, and fx's checks of them."""
    for node in [node for node in graph.nodes if node.op == "placeholder"][1:]:
        for check in list(node.users):
            for consumer in list(check.users):
                graph.erase_node(consumer)
            graph.erase_node(check)
        graph.erase_node(node)
    graph.set_codegen(fx.graph.CodeGen())


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:120]


def target_module(traced: fx.GraphModule, node: fx.Node) -> nn.Module:
    """The module that a `call_module` node calls."""
    return traced.get_submodule(str(node.target))
