"""forward and backward of a computation on torch tensors, which autograd differentiates."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from numpy.typing import NDArray

from bncli.arrays import framework
from bncli.arrays.torch import holds, torch
from bncli.core.kernel import GAMMA, PARAMETERS, Choice, Prepared
from bncli.core.problem import OF_INFERENCE
from bncli.loading.call_arrays import CallArrays
from bncli.loading.kinds import Passes
from bncli.loading.kinds._parameters import LIKE, MEAN, VAR
from bncli.loading.results import Malformed

Array = NDArray[Any]


class Graph(NamedTuple):
    """The values saved by forward: y with its graph, the inputs that require a gradient, with their edges in it, and
    the arrays of the call.

    ``of`` follows the names of y and of its gradients in errors.
    """

    y: Any
    inputs: dict[str, Any]
    edges: tuple[Any, ...]
    taken: CallArrays
    of: str = ""


def numbers() -> Any:
    """The namespace of zeros_like and ones_like."""
    return torch()


def passes(bound: Callable[[Mapping[str, Any]], Callable[[], Any]], choice: Choice, device: str = "") -> Passes:
    """The passes of a computation; ``bound`` turns tensors x, gamma, beta and epsilon into a call that returns y.

    Parameters that are not in ``choice`` are None, and only the inputs whose gradients are require one.
    """

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, timed: bool = False) -> Prepared:
        return _recorded(bound, choice, CallArrays(framework("torch"), device), (x, gamma, beta), {"epsilon": epsilon})

    return Passes(forward, backward)


def with_inference(
    training: Passes, bound: Callable[[Mapping[str, Any]], Callable[[], Any]], choice: Choice, device: str = ""
) -> Passes:
    """``training``, with inference; ``bound`` also gets the running mean and variance, which are constants."""

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, timed: bool = False
    ) -> Prepared:
        taken = CallArrays(framework("torch"), device)
        given = _inputs(choice, taken, (x, gamma, beta)) | {MEAN: taken.take(mean), VAR: taken.take(var)}
        call = torch().no_grad()(bound({**given, "epsilon": epsilon}))

        def deliver(found: Any) -> Array:
            taken.write_back()
            return taken.give(first_tensor(found))

        return Prepared(taken.waiting(call), deliver)

    def infer_forward(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, timed: bool = False
    ) -> Prepared:
        taken = CallArrays(framework("torch"), device)
        others = {MEAN: taken.take(mean), VAR: taken.take(var), "epsilon": epsilon}
        return _recorded(bound, choice, taken, (x, gamma, beta), others, OF_INFERENCE)

    return training._replace(infer=infer, infer_forward=infer_forward, infer_backward=backward)


def _recorded(
    bound: Callable[[Mapping[str, Any]], Callable[[], Any]],
    choice: Choice,
    taken: CallArrays,
    given: tuple[Array, Array, Array],
    others: Mapping[str, Any],
    of: str = "",
) -> Prepared:
    """A call that returns y and its ``Graph``; ``given`` are x, gamma and beta."""
    asked = [name.removeprefix("d") for name in choice.gradients]
    tensors = _inputs(choice, taken, given, asked)
    # The function may change x in place: the gradient is that of the original x.
    inputs = {name: tensors[name] for name in asked}
    edges = tuple(map(torch().autograd.graph.get_gradient_edge, inputs.values()))

    def deliver(found: Any) -> tuple[Array, Graph]:
        taken.write_back()
        y = first_tensor(found)
        return taken.give(y), Graph(y, inputs, edges, taken, of)

    return Prepared(taken.waiting(bound({**tensors, **others})), deliver)


def _inputs(
    choice: Choice, taken: CallArrays, given: tuple[Array, Array, Array], asked: Collection[str] = ()
) -> dict[str, Any]:
    """The tensors of x, gamma and beta, by role. Those in ``asked`` require a gradient; those left out are None."""
    tensors = dict(zip(("x", *PARAMETERS), map(taken.take, given), strict=True))
    like = tensors[GAMMA]
    left_out = dict.fromkeys(set(PARAMETERS) - set(choice.parameters))
    return {**tensors, **{name: enter(tensors[name]) for name in asked}, **left_out, LIKE: like}


def backward(dy: Array, saved: Graph, timed: bool = False) -> Prepared:
    """A call that returns the gradients of the inputs. Raises Malformed if autograd lacks one of them."""
    if not saved.y.requires_grad:
        hint = "compute it with torch's operators only, and not within torch.no_grad()"
        raise Malformed(f"y{saved.of} has no gradient: {hint}")
    # Edges take longer: some microseconds.
    of = tuple(saved.inputs.values()) if timed else saved.edges
    taken = CallArrays(saved.taken.arrays, saved.taken.device, earlier=saved.taken)
    # A second backward of one forward is allowed, but is never timed: in training, a graph is freed.
    grad = partial(torch().autograd.grad, saved.y, of, taken.take(dy), retain_graph=not timed, allow_unused=True)

    def deliver(found: Sequence[Any]) -> tuple[Array, ...]:
        taken.write_back()
        for name, gradient in zip(saved.inputs, found, strict=True):
            if gradient is None:
                why = f"backward returned None, or y does not depend on {name}"
                raise Malformed(f"there is no d{name}{saved.of}: {why}")
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
