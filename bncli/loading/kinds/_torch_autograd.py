"""forward and backward of a computation on torch tensors, which autograd differentiates."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from numpy.typing import NDArray

from bncli.arrays import framework
from bncli.arrays.torch import holds, torch
from bncli.core.kernel import Gradients, Prepared
from bncli.loading.call_arrays import CallArrays
from bncli.loading.kinds import Passes
from bncli.loading.results import Malformed

Array = NDArray[Any]


class Graph(NamedTuple):
    """The values saved by forward: y with its graph, x, gamma and beta, their edges in it, and the call's arrays."""

    y: Any
    inputs: tuple[Any, ...]
    edges: tuple[Any, ...]
    taken: CallArrays


def numbers() -> Any:
    """The namespace of zeros_like and ones_like."""
    return torch()


def passes(bound: Callable[[Mapping[str, Any]], Callable[[], Any]], device: str = "") -> Passes:
    """The passes of a computation; ``bound`` turns tensors x, gamma, beta and epsilon into a call that returns y."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, timed: bool = False) -> Prepared:
        taken = CallArrays(framework("torch"), device)
        given = {name: enter(taken.take(each)) for name, each in (("x", x), ("gamma", gamma), ("beta", beta))}
        # The function may change x in place: the gradient is that of the original x.
        inputs = tuple(given.values())
        edges = tuple(map(torch().autograd.graph.get_gradient_edge, inputs))

        def deliver(found: Any) -> tuple[Array, Graph]:
            taken.write_back()
            y = first_tensor(found)
            return taken.give(y), Graph(y, inputs, edges, taken)

        return Prepared(taken.waiting(bound({**given, "epsilon": epsilon})), deliver)

    return Passes(forward, backward)


def backward(dy: Array, saved: Graph, timed: bool = False) -> Prepared:
    """A call that returns dx, dgamma and dbeta. Raises Malformed if autograd lacks one of them."""
    if not saved.y.requires_grad:
        raise Malformed("y has no gradient: compute it with torch's operators only, and not within torch.no_grad()")
    # A second backward of one forward is allowed.
    # Edges take longer: some microseconds.
    of = saved.inputs if timed else saved.edges
    taken = CallArrays(saved.taken.arrays, saved.taken.device, earlier=saved.taken)
    grad = partial(torch().autograd.grad, saved.y, of, taken.take(dy), retain_graph=True, allow_unused=True)

    def deliver(found: Sequence[Any]) -> tuple[Array, ...]:
        taken.write_back()
        for name, gradient in zip(Gradients._fields, found, strict=True):
            if gradient is None:
                raise Malformed(f"there is no {name}: backward returned None, or y does not depend on {name[1:]}")
        return tuple(map(taken.give, found))

    return Prepared(taken.waiting(grad), deliver)


def enter(tensor: Any) -> Any:
    """A view of ``tensor`` that requires a gradient; unlike a leaf, it may be changed in place."""
    return _enter().apply(torch().zeros((), requires_grad=True), tensor)


def first_tensor(found: Any) -> Any:
    """``found``, or the first of several results. Raises Malformed if that is not a tensor."""
    first = found[0] if isinstance(found, (tuple, list)) and found else found
    if not holds(first):
        raise Malformed(f"y is of type {type(first).__name__}, not a torch tensor")
    return first


@cache
def _enter() -> Any:
    return type(
        "Enter", (torch().autograd.Function,), {"forward": staticmethod(_pass), "backward": staticmethod(_none)}
    )


def _pass(ctx: Any, handle: Any, tensor: Any) -> Any:
    return tensor.detach()


def _none(ctx: Any, gradient: Any) -> tuple[None, None]:
    return None, None
