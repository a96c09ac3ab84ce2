"""A function of x, gamma, beta and epsilon that returns y, of torch tensors or of JAX arrays."""

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

from bncli.arrays import framework
from bncli.core.kernel import Kernel
from bncli.errors import InputError
from bncli.loading.kinds import Given, _jax_vjp, _torch_autograd, torch_module
from bncli.loading.kinds._parameters import BETA, GAMMA, X, signature
from bncli.loading.kinds._rank import fitting

KIND = "a function"
RANKS = (3, 4, 2, 5)
DIFFERENTIATED_BY: dict[str, ModuleType] = {"torch": _torch_autograd, "jax": _jax_vjp}
NO_DERIVATIVE = "a function of NumPy arrays cannot be differentiated: write its backward(dy, saved) too"


def is_one(value: Any) -> bool:
    if not callable(value) or isinstance(value, type) or inspect.ismodule(value) or torch_module.is_one(value):
        return False
    try:
        taken = signature(value)
    except InputError:
        return False
    return all(map(taken.takes, (X, GAMMA, BETA)))


def kernel(value: Any, given: Given) -> Kernel:
    taken = signature(value)

    def of(name: str, rank: int) -> Kernel:
        numbers = DIFFERENTIATED_BY[name].numbers()

        def bound(inputs: Mapping[str, Any]) -> Callable[[], Any]:
            return taken.bound(value, {**inputs, **taken.others(numbers, inputs[GAMMA])})

        kind = f"{KIND} of {name} arrays"
        return given.kernel(
            rank, DIFFERENTIATED_BY[name].passes(bound), kind=kind, set_threads=framework(name).set_threads
        )

    found: list[Kernel] = []
    errors: list[str] = []
    for name in _possible(given):
        try:
            found.append(fitting(partial(of, name), given.ranks(RANKS), given.dtypes[0]))
        except InputError as error:
            errors.append(f"of {name} arrays, {error}")
    if not found:
        raise InputError("; ".join(errors))
    if len(found) > 1:
        raise InputError('it takes arrays of torch and of JAX: write arrays = "torch" or arrays = "jax" in its file')
    return found[0]


def _possible(given: Given) -> list[str]:
    """The frameworks of which the function may be: the one its file names, else those imported, or installed."""
    if given.arrays:
        if given.arrays not in DIFFERENTIATED_BY:
            raise InputError(NO_DERIVATIVE)
        return [given.arrays]
    found = [name for name in DIFFERENTIATED_BY if framework(name).available() is None]
    if not found:
        raise InputError(NO_DERIVATIVE)
    return [name for name in found if name in sys.modules] or found
