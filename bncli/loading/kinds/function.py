"""A function of x, gamma, beta and epsilon that returns y: of torch or JAX arrays, or of NumPy's without a backward."""

import contextlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.arrays import framework
from bncli.core.kernel import BACKWARD, BETA, GAMMA, PARAMETERS, Choice, Kernel, Prepared
from bncli.errors import InputError
from bncli.loading.absent import completed, prepared_stand_in, with_nothing_saved
from bncli.loading.kinds import Given, Passes, _jax_vjp, _torch_autograd, torch_module
from bncli.loading.kinds._axes import fitting
from bncli.loading.kinds._parameters import EPSILON, LIKE, Signature, X, signature
from bncli.loading.views import CHANNELS_LAST, Axes

Array = NDArray[Any]

KIND = "a function"
AXES = (3, 4, 2, 5, CHANNELS_LAST)
DIFFERENTIATED_BY: dict[str, ModuleType] = {"torch": _torch_autograd, "jax": _jax_vjp}


def is_one(value: Any) -> bool:
    if not callable(value) or isinstance(value, type) or inspect.ismodule(value) or torch_module.is_one(value):
        return False
    if type(value).__module__.startswith("triton."):
        return False  # it is launched on a grid of programs, and returns nothing
    try:
        taken = signature(value)
    except InputError:
        return False
    return taken.takes(X) and (taken.takes(EPSILON) or (taken.takes(GAMMA) and taken.takes(BETA)))


def is_whole(value: Any) -> bool:
    """Whether ``value``, a function of this kind, takes gamma and beta: one that does not may be a helper."""
    return all(map(signature(value).takes, PARAMETERS))


def kernel(value: Any, given: Given) -> Kernel:
    own = signature(value)

    def of(name: str, axes: Axes) -> Kernel:
        by = DIFFERENTIATED_BY[name]

        def bound(inputs: Mapping[str, Any]) -> Callable[[], Any]:
            return own.bound_in_training(value, inputs, by.numbers())

        def inferring(inputs: Mapping[str, Any]) -> Callable[[], Any]:
            return own.bound_in_inference(value, inputs)

        def passes(choice: Choice) -> Passes:
            training: Passes = by.passes(bound, choice, given.device)
            return by.with_inference(training, inferring, choice, given.device) if own.infers else training

        return given.kernel(
            axes, passes, kind=f"{KIND} of {name} arrays", taken=own.taken(given, selective=True), arrays=name
        )

    found: list[Kernel] = []
    errors: list[str] = []
    for name in _possible(given):
        if lacking := given.lacks(name):
            return lacking
        try:
            found.append(fitting(partial(of, name), given.axes_to_try(AXES), given.dtypes[0]))
        except InputError as error:
            errors.append(f"of {name} arrays, {error}")
    if not found:
        with contextlib.suppress(InputError):
            return _forward_alone(value, own, given)
        raise InputError("; ".join(errors) or "it fails on NumPy arrays")
    if len(found) > 1:
        raise InputError('it takes arrays of torch and of JAX: write arrays = "torch", "jax" or "numpy" in its file')
    return found[0]


def _possible(given: Given) -> list[str]:
    """The frameworks of which the function may be: the one its file names, else those imported, or installed."""
    if given.arrays:
        return [name for name in DIFFERENTIATED_BY if name == given.arrays]
    if given.device:
        raise InputError(f'its device is {given.device!r}: write arrays = "torch" or "jax" into its file, too')
    found = [name for name in DIFFERENTIATED_BY if framework(name).available() is None]
    return [name for name in found if name in sys.modules] or found


def _forward_alone(value: Any, own: Signature, given: Given) -> Kernel:
    """The kernel of a function of NumPy arrays, which nothing differentiates."""

    def passes(choice: Choice) -> Passes:
        def forward(x: Array, gamma: Array, beta: Array, epsilon: float, timed: bool = False) -> Prepared:
            passed = {GAMMA: gamma, BETA: beta, **dict.fromkeys(set(PARAMETERS) - set(choice.parameters))}
            call = own.bound_in_training(value, {X: x, **passed, LIKE: gamma, EPSILON: epsilon}, np)
            return Prepared(with_nothing_saved(call), lambda found: (found[0], None))

        return Passes(forward, prepared_stand_in(BACKWARD))

    def of(axes: Axes) -> Kernel:
        kernel = given.kernel(axes, passes, kind=f"{KIND} of NumPy arrays", taken=own.taken(given))
        return replace(completed(kernel, (BACKWARD,)), prepare=None)

    return fitting(of, given.axes_to_try(AXES), given.dtypes[0])
