"""A torch.autograd.Function, applied to x, gamma, beta and epsilon."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from bncli.arrays import torch as tensors
from bncli.core.kernel import Choice, Kernel
from bncli.loading.kinds import Given, Passes, _torch_autograd
from bncli.loading.kinds._axes import fitting
from bncli.loading.kinds._parameters import signature
from bncli.loading.views import CHANNELS_LAST, Axes

KIND = "a torch.autograd.Function"
AXES = (3, 4, 2, 5, CHANNELS_LAST)


def is_one(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, type) and issubclass(value, torch.autograd.Function)


def kernel(value: Any, given: Given) -> Kernel:
    if lacking := given.lacks("torch"):
        return lacking
    torch = tensors.torch()
    # If the class has a setup_context, its forward has no ctx.
    own = signature(value.forward, skip=value.setup_context is torch.autograd.Function.setup_context)

    def bound(inputs: Mapping[str, Any]) -> Callable[[], Any]:
        return own.bound_in_training(value.apply, inputs, torch)

    def passes(choice: Choice) -> Passes:
        return _torch_autograd.passes(bound, choice, given.device)

    def of(axes: Axes) -> Kernel:
        return given.kernel(axes, passes, kind=KIND, taken=own.taken(given, selective=True), arrays="torch")

    return fitting(of, given.axes_to_try(AXES), given.dtypes[0])
