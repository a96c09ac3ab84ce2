"""Wrap a user's functions for a Kernel: called by position, on arrays of their rank, with or without ``out``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from bncli.core.kernel import (
    BACKWARD,
    FORWARD,
    INFER,
    INFER_BACKWARD,
    INFER_FORWARD,
    Backward,
    Forward,
    Gradients,
    Infer,
    InferForward,
)
from bncli.core.layout import Shape
from bncli.loading import results

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Made = TypeVar("Made", bound=Callable[..., Any])


class View(NamedTuple):
    """The rank of a function's arrays: ``enter`` converts a canonical array to it, and ``leave`` converts back."""

    enter: Callable[[Array], Array]
    leave: Callable[[Array, Shape], Array]


def _rows(batch: Array) -> Array:
    outer, features, inner = batch.shape
    rows = np.ascontiguousarray(batch.transpose(0, 2, 1).reshape(outer * inner, features))
    # A copy is read-only if the batch is, so that a kernel that writes into its input fails here too.
    rows.flags.writeable = batch.flags.writeable
    return rows


def _batch(rows: Array, shape: Shape) -> Array:
    outer, features, inner = shape
    return np.ascontiguousarray(np.asarray(rows).reshape(outer, inner, features).transpose(0, 2, 1))


def _spatial(axes: int) -> View:
    """The view of (N, F, S) with ``axes`` axes in place of S. If S is 1, N is split: memory is then channels-last."""

    def enter(batch: Array) -> Array:
        outer, features, inner = batch.shape
        if inner > 1:
            return batch.reshape(outer, features, *_factors(inner, axes))
        items = next((n for n in range(2, outer) if outer % n == 0), outer)
        split = batch.reshape(items, *_factors(outer // items, axes), features)
        return np.moveaxis(split, -1, 1)

    def leave(found: Array, shape: Shape) -> Array:
        return (found if shape[2] > 1 else np.moveaxis(found, 1, -1)).reshape(shape)

    return View(enter, leave)


def _channels_last(axes: int) -> View:
    """The view of (N, F, S) with ``axes`` axes in place of S, and features last: C-contiguous if S is 1."""
    first = _spatial(axes)
    return View(
        lambda batch: np.moveaxis(first.enter(batch), 1, -1),
        lambda found, shape: first.leave(np.moveaxis(np.asarray(found), -1, 1), shape),
    )


def _factors(size: int, count: int) -> tuple[int, ...]:
    """``count`` factors of ``size``, as equal as possible, the smallest first."""
    if count == 1:
        return (size,)
    first = max(n for n in range(1, round(size ** (1 / count)) + 1) if size % n == 0)
    return (first, *_factors(size // first, count - 1))


def _own() -> View:
    """The view with the axes that the problem's layout has: NCHW if S is over 1, else NHWC."""
    first, last = _spatial(2), _channels_last(2)
    return View(
        lambda batch: (first if batch.shape[2] > 1 else last).enter(batch),
        lambda found, shape: (first if shape[2] > 1 else last).leave(found, shape),
    )


Axes = int | str  # the number of axes, or a word for them

CANONICAL = View(lambda batch: batch, lambda batch, _: batch)
OWN_AXES, CHANNELS_LAST = "own", "NHWC"
VIEWS: dict[Axes, View] = {
    2: View(_rows, _batch),
    3: CANONICAL,
    4: _spatial(2),
    5: _spatial(3),
    CHANNELS_LAST: _channels_last(2),
    "NDHWC": _channels_last(3),
    OWN_AXES: _own(),
}
MEANING = {2: "(rows, features)", 3: "(outer, feature, inner)", 4: "(N, C, H, W)", 5: "(N, C, D, H, W)"}  # of ndim
WORDS: dict[str, Axes] = {"NC": 2, "NCHW": 4, "NCDHW": 5, **{word: word for word in VIEWS if isinstance(word, str)}}


def view_of(axes: Axes, arrays: str) -> View:
    """The view for a function of the framework ``arrays``.

    In torch the axes are always NCHW, and a channels-last problem is in the memory format of that name.
    """
    return VIEWS[4] if axes == OWN_AXES and arrays == "torch" else VIEWS[axes]


class Function(NamedTuple):
    """A user's function, the view of a batch that it takes, and whether it takes ``out``."""

    call: Callable[..., Any]
    view: View
    takes_out: bool

    def __call__(self, *arguments: Any, out: Any) -> Any:
        return self.call(*arguments) if out is None else self.call(*arguments, out=out)

    def target(self, out: Array | None) -> Array | None:
        """Return the array to pass as the function's ``out``; None if it takes none, or none is given."""
        return self.view.enter(out) if self.takes_out and out is not None else None


def forward_of(function: Function) -> Forward:
    """Return ``function`` as a kernel's forward; it raises Malformed unless the result is y and saved."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Any]:
        seen, target = function.view.enter(x), function.target(out)
        y, saved = results.y_and_saved(function(seen, gamma, beta, epsilon, out=target), seen.shape)
        return _deliver(y, target, out, function.view, x.shape), saved

    return _declare_out(forward, function)


def backward_of(function: Function, names: tuple[str, ...] = Gradients._fields, called: str = BACKWARD) -> Backward:
    """Return ``function``, whose gradients are ``names``, as a kernel's backward.

    It raises Malformed, where it is ``called`` so, unless the result is these gradients.
    """

    def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Gradients:
        view, seen = function.view, function.view.enter(dy)
        dx, dgamma, dbeta = out or (None, None, None)
        target = function.target(dx)
        targets = None if out is None or target is None else Gradients(target, *out[1:])
        found = results.gradients(function(seen, saved, out=targets), dy, names, called, seen.shape)
        return Gradients(
            _deliver(found.dx, target, dx, view, dy.shape),
            _deliver(found.dgamma, targets and dgamma, dgamma, CANONICAL, dy.shape),
            _deliver(found.dbeta, targets and dbeta, dbeta, CANONICAL, dy.shape),
        )

    return _declare_out(backward, function)


def infer_of(function: Function) -> Infer:
    """Return ``function`` as a kernel's infer; it raises Malformed unless the result is y."""

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        seen, target = function.view.enter(x), function.target(out)
        y = results.array("y", function(seen, gamma, beta, mean, var, epsilon, out=target), seen.shape)
        return _deliver(y, target, out, function.view, x.shape)

    return _declare_out(infer, function)


def infer_forward_of(function: Function) -> InferForward:
    """Return ``function`` as a kernel's infer_forward; it raises Malformed unless the result is y and saved."""

    def infer_forward(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> tuple[Array, Any]:
        seen, target = function.view.enter(x), function.target(out)
        found = function(seen, gamma, beta, mean, var, epsilon, out=target)
        y, saved = results.y_and_saved(found, seen.shape, INFER)
        return _deliver(y, target, out, function.view, x.shape), saved

    return _declare_out(infer_forward, function)


def passes_of(functions: Mapping[str, Function], gradients: tuple[str, ...]) -> dict[str, Any]:
    """The passes of a kernel, by name, from ``functions`` by the same names; a backward returns ``gradients``."""
    made: dict[str, Callable[[Function], Any]] = {
        FORWARD: forward_of,
        BACKWARD: lambda function: backward_of(function, gradients),
        INFER: infer_of,
        INFER_FORWARD: infer_forward_of,
        INFER_BACKWARD: lambda function: backward_of(function, gradients, INFER_BACKWARD),
    }
    return {name: made[name](function) for name, function in functions.items()}


def _declare_out(made: Made, function: Function) -> Made:
    """``made``, with a signature that has ``out`` only if ``function`` takes it."""
    if not function.takes_out:
        whole = inspect.signature(made)
        own = [parameter for parameter in whole.parameters.values() if parameter.name != "out"]
        vars(made)["__signature__"] = whole.replace(parameters=own)
    return made


def _deliver(found: Array, target: Array | None, out: Array | None, view: View, shape: Shape) -> Array:
    """Return a function's result in canonical form, written to ``out`` if given; ``shape`` is that of the batch."""
    if out is None or (target is not None and found is not target):
        return view.leave(found, shape)  # if the function ignored its ``out``, the contract check notices
    if target is None or not np.may_share_memory(target, out):
        out[...] = view.leave(found, shape)
    return out
