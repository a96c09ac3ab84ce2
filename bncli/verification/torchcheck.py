"""How a kernel fares under PyTorch's own gradcheck, as a custom ``autograd.Function``."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from bncli.core.case import Case
from bncli.core.kernel import Kernel

# The fast mode takes 8 calls of the function. Once it has rejected one it differentiates it in full, for its
# message alone: 137 GB for 2048x64. A function that is called more often than this has been rejected.
FAST_CALLS = 32


def available() -> str | None:
    """The name of what is missing; None if PyTorch is installed."""
    return None if find_spec("torch") else "torch is not installed: install bncli[peers]"


def caught(kernel: Kernel, case: Case, fast: bool) -> bool:
    """Whether ``torch.autograd.gradcheck`` rejects ``kernel``, or does not survive it.

    It differentiates at the x, gamma and beta of ``case``, in float64, with its default step and
    tolerances. ``fast`` compares one random projection of the Jacobian; otherwise it is compared
    in full, which takes memory for the square of the elements of x, several times over.
    """
    torch: Any = import_module("torch")
    # Copies: what a kernel does to its inputs it does to these.
    inputs = [torch.tensor(np.array(array, np.float64)) for array in (case.x, case.gamma, case.beta)]
    for leaf in inputs:
        leaf.requires_grad_()
    function = _function(torch, kernel, case.problem.epsilon, FAST_CALLS if fast else None)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(0)
        try:
            return not torch.autograd.gradcheck(function, inputs, raise_exception=False, fast_mode=fast)
        except Exception:  # noqa: BLE001 - any error of the kernel is a rejection
            return True


def _function(torch: Any, kernel: Kernel, epsilon: float, most_calls: int | None) -> Any:
    """``kernel`` as a differentiable function of x, gamma and beta, whose memory it is given.

    The function raises RuntimeError when it is called more than ``most_calls`` times.
    """
    calls = 0

    def forward(ctx: Any, x: Any, gamma: Any, beta: Any) -> Any:
        nonlocal calls
        calls += 1
        if most_calls and calls > most_calls:
            raise RuntimeError("fast mode has rejected the kernel")
        y, ctx.kept = kernel.forward(x.numpy(), gamma.numpy(), beta.numpy(), epsilon)
        return torch.from_numpy(y)

    def backward(ctx: Any, dy: Any) -> Any:
        dx, dgamma, dbeta = kernel.backward(dy.numpy(), ctx.kept)
        return torch.from_numpy(dx), torch.from_numpy(dgamma), torch.from_numpy(dbeta)

    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    wrapped: Any = type("BatchNorm", (torch.autograd.Function,), members)
    return wrapped.apply
