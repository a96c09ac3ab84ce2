"""Call a user's functions as a Kernel's: by position, on arrays of the rank they want, with or without ``out``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bncli.core.kernel import Backward, Forward, Gradients, Infer
from bncli.core.layout import Shape
from bncli.loading import results

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class View(NamedTuple):
    """What becomes of a canonical array before a function sees it, and of what the function returns for it."""

    enter: Callable[[Array], Array]
    leave: Callable[[Array, Shape], Array]


def _rows(batch: Array) -> Array:
    outer, features, inner = batch.shape
    rows = np.ascontiguousarray(batch.transpose(0, 2, 1).reshape(outer * inner, features))
    # A function that writes into its input must not go unseen because that is a copy.
    rows.flags.writeable = batch.flags.writeable
    return rows


def _batch(rows: Array, shape: Shape) -> Array:
    outer, features, inner = shape
    return np.ascontiguousarray(np.asarray(rows).reshape(outer, inner, features).transpose(0, 2, 1))


CANONICAL = View(lambda batch: batch, lambda batch, _: batch)
VIEWS = {3: CANONICAL, 2: View(_rows, _batch)}
NOWHERE = (None, None, None)


class Function(NamedTuple):
    """A user's function, how it sees a batch, and whether it takes ``out``."""

    call: Callable[..., Any]
    view: View
    takes_out: bool

    def __call__(self, *arguments: Any, out: Any) -> Any:
        return self.call(*arguments) if out is None else self.call(*arguments, out=out)

    def target(self, out: Array | None) -> Array | None:
        """What the function is to write into so that it ends up in ``out``, if it can be told."""
        return self.view.enter(out) if self.takes_out and out is not None else None


def forward_of(function: Function) -> Forward:
    """``function`` as a kernel's forward, which raises Malformed where it returns anything but y and saved."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Any]:
        seen, target = function.view.enter(x), function.target(out)
        y, saved = results.y_and_saved(function(seen, gamma, beta, epsilon, out=target), seen.shape)
        return _deliver(y, target, out, function.view, x.shape), saved

    return forward


def backward_of(function: Function) -> Backward:
    """``function`` as a kernel's backward, which raises Malformed where it returns anything but the gradients."""

    def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Gradients:
        seen, dx = function.view.enter(dy), function.target(out and out[0])
        target = None if out is None or dx is None else Gradients(dx, *out[1:])
        found = results.gradients(function(seen, saved, out=target), seen.shape)
        views = (function.view, CANONICAL, CANONICAL)
        parts = zip(found, target or NOWHERE, out or NOWHERE, views, strict=True)
        return Gradients(*(_deliver(*part, dy.shape) for part in parts))

    return backward


def infer_of(function: Function) -> Infer:
    """``function`` as a kernel's infer, which raises Malformed where it returns anything but y."""

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        seen, target = function.view.enter(x), function.target(out)
        y = results.array("y", function(seen, gamma, beta, mean, var, epsilon, out=target), seen.shape)
        return _deliver(y, target, out, function.view, x.shape)

    return infer


def _deliver(found: Array, target: Array | None, out: Array | None, view: View, shape: Shape) -> Array:
    """What a function returned, in canonical form, and in ``out`` where that was given."""
    if out is None or (target is not None and found is not target):
        return view.leave(found, shape)  # a function that ignores its ``out`` is to be found out
    if target is None or not np.may_share_memory(target, out):
        out[...] = view.leave(found, shape)
    return out
