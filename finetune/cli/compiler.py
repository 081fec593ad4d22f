"""torch's compiler, loaded when something asks more of it than the few words that mean nothing without it.

torchvision and every optimizer of torch import it, 1.0 s of the 3.7 s that a run's imports take on 2 cores, to mark
functions that it shall leave alone. Nothing here is compiled, so the marks are all that is asked.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

NAME = "torch._dynamo"


def defer_compiler() -> None:
    """Put placeholders where torch's compiler will be; one that is loaded already is left alone."""
    if NAME in sys.modules:
        return
    utils = _Placeholder(f"{NAME}.utils", {"is_compile_supported": _is_compile_supported})
    sys.modules[utils.__name__] = utils
    answers = {"disable": _disable, "graph_break": _break_graph, "utils": utils}
    sys.modules[NAME] = _Placeholder(NAME, answers)


class _Placeholder(ModuleType):
    """A module that knows some answers, and gives way to the real one at any other question."""

    def __init__(self, name: str, answers: dict[str, Any]) -> None:
        super().__init__(name, "A placeholder; the real module is loaded when it is needed.")
        vars(self).update(answers)

    def __getattr__(self, name: str) -> Any:
        is_for_a_module_inside = name == "__path__" and self.__name__ == NAME
        if name.startswith("__") and not is_for_a_module_inside:  # asked of every module, by imports and inspection
            raise AttributeError(name)
        return getattr(_load(self.__name__), name)


def _load(name: str) -> ModuleType:
    """The real module, in place of the placeholders."""
    for held in (NAME, f"{NAME}.utils"):
        if isinstance(sys.modules.get(held), _Placeholder):
            del sys.modules[held]
    return import_module(name)


def _disable(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Callable[..., Any]:
    """What is not compiled needs no exception from it; without a function, what gives back the one it gets."""
    return _disable if function is None else function


def _break_graph(*_: Any, **__: Any) -> None:
    """Without a graph there is nothing to break."""


def _is_compile_supported(*arguments: Any) -> Any:
    return _load(f"{NAME}.utils").is_compile_supported(*arguments)
