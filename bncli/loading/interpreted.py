"""Find Triton kernels that Triton's interpreter runs on the CPU: their time would mean nothing."""

import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

UNTIMED = (
    "Triton's interpreter runs it, and a time would mean nothing; "
    "gradcheck and verify work, and bench needs a GPU and no TRITON_INTERPRET"
)
# A user's kernel is not in them, and PyTorch has Triton functions of its own.
OTHERS = sys.stdlib_module_names | {"bncli", "jax", "numpy", "torch", "triton"}


def untimed(value: Any) -> str:
    """Why a time of the kernels in ``value``, a module or an object of one, would mean nothing; else an empty text."""
    interpreter = sys.modules.get("triton.runtime.interpreter")
    module = value if inspect.ismodule(value) else inspect.getmodule(value) or inspect.getmodule(type(value))
    if interpreter is None or module is None:
        return ""
    interpreted = interpreter.InterpretedFunction
    found = any(isinstance(_unwrapped(each), interpreted) for own in _modules(module) for each in _values(own))
    return UNTIMED if found else ""


def _unwrapped(value: Any) -> Any:
    """The function in Triton's decorators, such as ``triton.autotune``."""
    while type(value).__module__.startswith("triton.runtime.autotuner"):
        value = value.fn
    return value


def _modules(first: ModuleType) -> Iterator[ModuleType]:
    """``first``, and the modules of users that it takes functions, classes or all from, and so on."""
    seen, left = {first.__name__}, [first]
    while left:
        yield (module := left.pop())
        for value in _values(module):
            name = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
            if isinstance(name, str) and name not in seen and name.partition(".")[0] not in OTHERS:
                seen.add(name)
                left += [sys.modules[name]] if name in sys.modules else []


def _values(module: ModuleType) -> list[Any]:
    return list(vars(module).values())
