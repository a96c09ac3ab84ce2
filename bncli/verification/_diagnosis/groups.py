"""Means over wrong axes: other normalizations, a wrong axis, or a misread layout."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis.facts import Facts, mean

Array = NDArray[Any]
Formula = Callable[[Facts], Array]

# The axes of Facts.by_item: (batch, outer positions, features, inner positions).
ACROSS_BATCH, WITHIN_ITEM = (0,), (1, 3)
WRONG_AXES = (
    ("the batch alone, separately for each position", ACROSS_BATCH),
    ("the positions of each item separately, as in instance normalization", WITHIN_ITEM),
    ("the features of each item, as in layer normalization", (1, 2, 3)),
    ("the features at each position, as in layer normalization", (2,)),
    ("everything, features too", (0, 1, 2, 3)),
)


def y() -> Iterator[tuple[str, Formula]]:
    """The sentence and formula of y with statistics over other axes."""
    for over, axes in WRONG_AXES:
        yield f"the statistics are taken over {over}", partial(_y, axes=axes)


def dx() -> Iterator[tuple[str, Formula]]:
    """The gradient of such a y; or right statistics with wrong means of dy and of dy * x_hat."""
    for over, axes in WRONG_AXES:
        yield f"dx is the gradient with statistics taken over {over}", partial(_dx, axes=axes)
    for subject, means in (
        ("means in dx are", "dy, x_hat"),
        ("mean of dy is", "dy"),
        ("mean of dy * x_hat is", "x_hat"),
    ):
        for over, axes in WRONG_AXES:
            yield f"the {subject} taken over {over}", partial(_dx_with_means, axes=axes, means=means, summed=False)
            if axes in (ACROSS_BATCH, WITHIN_ITEM):
                divided = f"the {subject} summed over {over}, but divided by all {{samples}} samples"
                yield divided, partial(_dx_with_means, axes=axes, means=means, summed=True)


def broadcast() -> Iterator[tuple[str, Formula]]:
    """y with gamma, beta or both along another axis, whose length is the number of features."""
    for axis, name in ((2, "inner"), (0, "outer")):
        for names in (("gamma", "beta"), ("gamma",), ("beta",)):
            says = f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} taken along the {name} axis"
            yield f"{says}, which is as long as there are features", partial(_along, axis=axis, names=names)


def by_flat_index(f: Facts) -> Array:
    """y with the gamma and the beta of feature i modulo F for the element i of memory."""
    if f.gamma.size != f.features:
        return np.full(f.x.shape, np.nan)
    feature = np.arange(f.x.size).reshape(f.x.shape) % f.features
    return np.asarray(f.gamma.ravel()[feature] * f.x_hat + f.beta.ravel()[feature])


def _along(f: Facts, axis: int, names: tuple[str, ...]) -> Array:
    if f.x.shape[axis] != f.gamma.size:
        return np.full(f.x.shape, np.nan)
    shape = [1, 1, 1]
    shape[axis] = -1
    gamma, beta = (getattr(f, name).reshape(shape) if name in names else getattr(f, name) for name in ("gamma", "beta"))
    return np.asarray(gamma * f.x_hat + beta)


def misread(f: Facts) -> Array:
    """y of channels-first memory that is read as channels-last, or the reverse."""
    outer, features, inner = f.x.shape
    if inner > 1:
        axes, shape, per_feature = (0, 1), (outer, inner, features), (1, 1, features)
    else:
        axes, shape, per_feature = (0, 2), (f.batch, features, outer // f.batch), (1, features, 1)
    x = f.x.reshape(shape)
    x_hat = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + f.epsilon)
    return np.asarray(f.gamma.reshape(per_feature) * x_hat + f.beta.reshape(per_feature)).reshape(f.x.shape)


def _y(f: Facts, axes: tuple[int, ...]) -> Array:
    return np.asarray(f.gamma * _normalized(f, axes)[0] + f.beta)


def _dx(f: Facts, axes: tuple[int, ...]) -> Array:
    x_hat, inv_std = _normalized(f, axes)
    dx_hat = f.dy * f.gamma
    return np.asarray(inv_std * (dx_hat - _mean(f, dx_hat, axes) - x_hat * _mean(f, dx_hat * x_hat, axes)))


def _dx_with_means(f: Facts, axes: tuple[int, ...], means: str, summed: bool) -> Array:
    share = _count(f, axes) / f.samples if summed else 1.0
    of_dy, of_dy_x_hat = (
        share * _mean(f, array, axes) if name in means else mean(array)
        for name, array in (("dy", f.dy), ("x_hat", f.dy * f.x_hat))
    )
    return f.dx(of_dy, f.x_hat * of_dy_x_hat)


def _normalized(f: Facts, axes: tuple[int, ...]) -> tuple[Array, Array]:
    centred = f.x - _mean(f, f.x, axes)
    inv_std = 1 / np.sqrt(_mean(f, centred * centred, axes) + f.epsilon)
    return centred * inv_std, inv_std


def _mean(f: Facts, array: Array, axes: tuple[int, ...]) -> Array:
    """Means over ``axes`` of the items, broadcast to the shape of ``array``; NaN if each is of a single value."""
    view = f.by_item(array)
    if _count(f, axes) == 1:
        return np.full(array.shape, np.nan)
    return np.broadcast_to(view.mean(axes, keepdims=True), view.shape).reshape(array.shape)


def _count(f: Facts, axes: tuple[int, ...]) -> int:
    """The number of values in each mean over ``axes``."""
    shape = f.by_item(f.x).shape
    return int(np.prod([shape[axis] for axis in axes]))
