"""Faults that depend on the calls before: shared memory, caches, plans, and a second backward."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.verification._mutants.mutant import Kind, Mutant, hidden
from bncli.verification._mutants.steps import RIGHT, Steps, build, dx, total

Array = NDArray[Any]
Answer = tuple[Array, Any]
Backward = tuple[Array, Array, Array]

PENDING = "5x6x9/channels-first/float64/eps=0.001 history=20f20b"
TWO = "6x7x4/channels-first/float64/eps=1e-05 history=2f2b"
TWICE = "6x7x4/channels-first/float64/eps=1e-05 history=f2b"
AGAIN = "6x7x4/channels-first/float64/eps=1e-05 history=2(fb)"
REWRITTEN = "7x7/channels-last/float64/eps=1e-08 history=fbwfb"
FAST_AFTER = 100  # backwards


class _Turns:
    """``count`` arrays of each shape and type, which take turns."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.arrays: dict[Hashable, list[Array]] = {}

    def keep(self, values: Array) -> Array:
        """A copy of ``values``, in the array that was used longest ago."""
        turns = self.arrays.setdefault((values.shape, values.dtype), [])
        array = np.empty_like(values) if len(turns) < self.count else turns.pop(0)
        turns.append(array)
        array[...] = values
        return array


def _forward(change: Callable[[Array, Saved], Answer]) -> Kernel:
    """The right kernel, which returns ``change(y, saved)`` from forward."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        return change(*RIGHT.forward(x, gamma, beta, epsilon, out=out))

    return replace(RIGHT, forward=forward)


def _saved_in_turns(count: int) -> Kernel:
    turns = _Turns(count)
    return _forward(lambda y, saved: (y, saved._replace(x=turns.keep(saved.x))))


def _inv_std_in_turns(count: int) -> Kernel:
    turns = _Turns(count)
    return _forward(lambda y, saved: (y, saved._replace(inv_std=turns.keep(saved.inv_std))))


def _y_in_turns(count: int) -> Kernel:
    turns = _Turns(count)
    return _forward(lambda y, saved: (turns.keep(y), saved))


def _gradients(change: Callable[[Gradients, Saved], Backward]) -> Kernel:
    """The right kernel, which returns ``change(gradients, saved)`` from backward."""

    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        return change(Gradients(*RIGHT.backward(dy, saved, out=out)), saved)

    return replace(RIGHT, backward=backward)


def _dx_in_turns(count: int) -> Kernel:
    turns = _Turns(count)
    return _gradients(lambda found, saved: found._replace(dx=turns.keep(found.dx)))


def _dgamma_in_turns(count: int) -> Kernel:
    turns = _Turns(count)
    return _gradients(lambda found, saved: found._replace(dgamma=turns.keep(found.dgamma)))


def _dbeta_added_to() -> Kernel:
    sums: dict[Hashable, Array] = {}

    def add(found: Gradients, saved: Saved) -> Backward:
        key = (saved.x.shape, saved.x.dtype)
        sums[key] = sums.get(key, 0) + found.dbeta
        return found._replace(dbeta=sums[key].copy())

    return _gradients(add)


def _saved_is_scaled() -> Kernel:
    """Backward multiplies what was saved by gamma, in place."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        return y, (saved, saved.inv_std.copy())

    def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Backward:
        rest, inv_std = saved
        found = RIGHT.backward(dy, rest._replace(inv_std=inv_std), out=out)
        inv_std *= rest.gamma
        return found

    return Kernel(forward, backward, RIGHT.infer)


def _saved_is_added_to() -> Kernel:
    """Backward adds dbeta to a sum that ``saved`` holds, and returns that."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        return y, (saved, np.zeros_like(gamma))

    def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Backward:
        rest, dbeta = saved
        found = Gradients(*RIGHT.backward(dy, rest, out=out))
        dbeta += found.dbeta
        found.dbeta[...] = dbeta
        return found

    return Kernel(forward, backward, RIGHT.infer)


def _saved_on_a_stack() -> Kernel:
    """Forward pushes, backward pops; ``saved`` says nothing."""
    stack: list[Saved] = []

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        stack.append(saved)
        return y, None

    def backward(dy: Array, saved: None, *, out: Gradients | None = None) -> Backward:
        return RIGHT.backward(dy, stack.pop(), out=out)

    return Kernel(forward, backward, RIGHT.infer)


def _saved_in_a_queue() -> Kernel:
    """Backward takes the oldest forward that has had none of its shape."""
    queues: dict[Hashable, list[Saved]] = {}

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        queues.setdefault((x.shape, x.dtype), []).append(saved)
        return y, saved

    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        queue = queues.get((dy.shape, dy.dtype))
        return RIGHT.backward(dy, queue.pop(0) if queue else saved, out=out)

    return Kernel(forward, backward, RIGHT.infer)


def _first_epsilon() -> Kernel:
    plans: dict[Hashable, float] = {}

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        return RIGHT.forward(x, gamma, beta, plans.setdefault((x.shape, x.dtype), epsilon), out=out)

    return replace(RIGHT, forward=forward)


def _first_gamma() -> Kernel:
    graphs: dict[Hashable, Array] = {}

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        return RIGHT.forward(x, graphs.setdefault((x.shape, x.dtype), gamma.copy()), beta, epsilon, out=out)

    return replace(RIGHT, forward=forward)


class _ByIdentity:
    """What was made of an array, as long as the same array comes."""

    def __init__(self, make: Callable[[Array], Array]) -> None:
        self.make = make
        self.known: tuple[Array, Array] | None = None

    def of(self, array: Array) -> Array:
        if self.known is None or self.known[0] is not array:
            self.known = array, self.make(array)
        return self.known[1]


def _gamma_by_identity() -> Kernel:
    kept = _ByIdentity(np.copy)

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        return RIGHT.forward(x, kept.of(gamma), beta, epsilon, out=out)

    return replace(RIGHT, forward=forward)


def _mean_dy_by_identity() -> Kernel:
    kept = _ByIdentity(total)

    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        found = Gradients(*RIGHT.backward(dy, saved, out=out))
        found.dbeta[...] = kept.of(dy)
        return found

    return replace(RIGHT, backward=backward)


def _infer_gamma_by_identity() -> Kernel:
    kept, right = _ByIdentity(np.copy), RIGHT.infer
    assert right is not None  # for the type checker

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        return right(x, kept.of(gamma), beta, mean, var, epsilon, out=out)

    return replace(RIGHT, infer=infer)


def _infer_in_turns(count: int) -> Kernel:
    turns, right = _Turns(count), RIGHT.infer
    assert right is not None  # for the type checker

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        return turns.keep(right(x, gamma, beta, mean, var, epsilon, out=out))

    return replace(RIGHT, infer=infer)


def _infer_takes_the_scratch() -> Kernel:
    """Inference writes its own inv_std where the latest forward keeps the one for backward."""
    scratch: list[Array] = [np.empty(0)]
    right = RIGHT.infer
    assert right is not None  # for the type checker

    def keep(y: Array, saved: Saved) -> Answer:
        scratch[0] = saved.inv_std
        return y, saved

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        if scratch[0].shape == var.shape:
            scratch[0][...] = 1 / np.sqrt(var + epsilon)
        return right(x, gamma, beta, mean, var, epsilon, out=out)

    return replace(_forward(keep), infer=infer)


def _grown_scratch() -> Kernel:
    """dy goes into memory that only grows, and the sum of dy is one of all of it."""
    scratch: dict[str, Array] = {}

    def summed(values: Array) -> Array:
        rows = np.ascontiguousarray(values.transpose(1, 0, 2)).reshape(values.shape[1], -1)
        kept = scratch.get("rows", np.zeros((0, 0)))
        if kept.shape[0] < rows.shape[0] or kept.shape[1] < rows.shape[1]:
            kept = scratch["rows"] = np.zeros(np.maximum(kept.shape, rows.shape))
        kept[: rows.shape[0], : rows.shape[1]] = rows
        return np.asarray(kept[: rows.shape[0]].sum(1))

    return build(Steps(total=summed))


def _scratch_by_features() -> Kernel:
    """A scratch for the features, allocated for the first shape with so many of them."""
    scratch: dict[int, int] = {}

    def summed(values: Array) -> Array:
        samples = scratch.setdefault(values.shape[1], values.shape[0] * values.shape[2])
        rows = values.transpose(0, 2, 1).reshape(-1, values.shape[1])
        return np.asarray(rows[:samples].sum(0, dtype=np.float64))

    return build(Steps(total=summed))


def _y_kept_for_backward() -> Kernel:
    """x_hat is made of y, where gamma is not 0; the caller may have written into y."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        return y, (y, beta, saved)

    def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Backward:
        y, beta, rest = saved
        known = (rest.gamma != 0)[:, None]
        x_hat = (y - beta[:, None].astype(np.float64)) / np.where(known, rest.gamma[:, None], 1)
        x = np.where(known, x_hat / rest.inv_std[:, None] + rest.mean[:, None], rest.x)
        return RIGHT.backward(dy, rest._replace(x=x), out=out)

    return Kernel(forward, backward, RIGHT.infer)


def _plan_of_one_type() -> Kernel:
    """A plan is made for the shape, and refuses another type than its first."""
    plans: dict[Hashable, Any] = {}

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        if plans.setdefault(x.shape, x.dtype) != x.dtype:
            raise TypeError(f"the plan is for {plans[x.shape]}, not {x.dtype}")
        return RIGHT.forward(x, gamma, beta, epsilon, out=out)

    return replace(RIGHT, forward=forward)


def _narrowest_type() -> Kernel:
    """The type of the work is switched to float32 by the first float32 call, and never back."""
    narrow = False

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        nonlocal narrow
        narrow = narrow or x.dtype == np.float32
        y, saved = RIGHT.forward(x.astype(np.float32) if narrow else x, gamma, beta, epsilon)
        y = y.astype(x.dtype)
        if out is None:
            return y, saved
        out[...] = y
        return out, saved

    return replace(RIGHT, forward=forward)


def _fast_after_a_while() -> Kernel:
    """From the 101st backward of a shape on another version runs, which forgets mean(dy)."""
    counts: dict[Hashable, int] = {}
    fast = build(Steps(dx=lambda t: dx(t._replace(mean_dy=np.zeros_like(t.mean_dy)))))

    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        key = (dy.shape, dy.dtype)
        counts[key] = counts.get(key, 0) + 1
        return (fast if counts[key] > FAST_AFTER else RIGHT).backward(dy, saved, out=out)

    return replace(RIGHT, backward=backward)


def _history(name: str, about: str, make: Callable[[], Kernel], case: str, kind: Kind = "contract") -> Mutant:
    return hidden(name, about, kind, make, case)


SHARED = (
    _history("saved-in-one-buffer", "keeps x for backward in one array for all", lambda: _saved_in_turns(1), TWO),
    _history("saved-in-2-buffers", "keeps x for backward in 2 arrays in turns", lambda: _saved_in_turns(2), PENDING),
    _history("saved-in-8-buffers", "keeps x for backward in 8 arrays in turns", lambda: _saved_in_turns(8), PENDING),
    _history(
        "inv-std-in-16-buffers", "keeps inv_std in 16 arrays that take turns", lambda: _inv_std_in_turns(16), PENDING
    ),
    _history("y-in-6-buffers", "returns y in 6 arrays that take turns", lambda: _y_in_turns(6), PENDING),
    _history("y-in-16-buffers", "returns y in 16 arrays that take turns", lambda: _y_in_turns(16), PENDING),
    _history("dx-in-8-buffers", "returns dx in 8 arrays that take turns", lambda: _dx_in_turns(8), PENDING),
    _history("dgamma-in-16-buffers", "returns dgamma in 16 arrays in turns", lambda: _dgamma_in_turns(16), PENDING),
    _history(
        "infer-in-one-buffer",
        "returns the y of every inference in one array",
        lambda: _infer_in_turns(1),
        "6x7x4/channels-first/float64/eps=1e-05 history=fbiwi",
    ),
    _history(
        "infer-takes-the-scratch",
        "writes inv_std of inference over the one that backward needs",
        _infer_takes_the_scratch,
        "6x7x4/channels-first/float64/eps=1e-05 history=fib",
    ),
    _history(
        "scratch-grows",
        "sums all of a memory that only grows, after a larger call too",
        _grown_scratch,
        "2x16x4x4/channels-first/float64/eps=1e-12 history=fob",
    ),
    _history(
        "scratch-by-features",
        "allocates for the first shape with as many features, and sums no more samples",
        _scratch_by_features,
        "33x5x2/channels-first/float64/eps=1e-05 history=ofb",
    ),
    _history("y-kept", "makes x_hat of the y that the caller may change", _y_kept_for_backward,
             "6x7x4/channels-first/float64/eps=1e-05 history=fyb"),
)  # fmt: skip
SECOND_BACKWARD = (
    _history("saved-scaled", "multiplies the saved inv_std by gamma in backward", _saved_is_scaled, TWICE),
    _history("saved-added-to", "adds dbeta to a sum in saved", _saved_is_added_to, TWICE),
    _history("saved-on-a-stack", "takes saved from a stack, empty at a second backward", _saved_on_a_stack, TWICE),
    _history("saved-in-a-queue", "gives backward the oldest forward, not its own", _saved_in_a_queue, TWO),
    _history("dbeta-added-to", "adds dbeta to that of the last call of the shape", _dbeta_added_to, AGAIN),
    _history(
        "fast-after-100",
        "drops the mean term of dx from the 101st backward of a shape on",
        _fast_after_a_while,
        "2x8/per-activation/float64/eps=0.001 history=160(fb)",
    ),
)  # fmt: skip
REMEMBERED = (
    _history(
        "first-epsilon",
        "remembers the first epsilon of a shape",
        _first_epsilon,
        "2x16x4x4/channels-first/float64/eps=1e-12 history=ef",
    ),
    _history("first-gamma", "remembers the first gamma of a shape", _first_gamma, AGAIN),
    _history("gamma-by-identity", "remembers gamma by the identity of its array", _gamma_by_identity, REWRITTEN),
    _history("dy-by-identity", "remembers the sum of dy by the identity of its array", _mean_dy_by_identity, REWRITTEN),
    _history(
        "infer-gamma-by-identity",
        "remembers gamma in inference by the identity of its array",
        _infer_gamma_by_identity,
        "1500x4/channels-last/float64/eps=1e-05 history=fbigi",
    ),
    _history(
        "plan-of-one-type",
        "refuses another type for a shape that it knows",
        _plan_of_one_type,
        "2x16x4x4/channels-first/float64/eps=1e-12 history=fob",
    ),
    _history(
        "narrowest-type",
        "computes forward in float32 for good, once it has been given float32",
        _narrowest_type,
        "2x16x4x4/channels-first/float64/eps=1e-05 history=of",
    ),
)

MUTANTS = (*SHARED, *SECOND_BACKWARD, *REMEMBERED)
