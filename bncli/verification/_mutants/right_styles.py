"""More right kernels: other algorithms, other ways to keep what backward needs, and what a kernel may refuse."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.verification._mutants import steps
from bncli.verification._mutants.right_kernels import stored

Array = NDArray[Any]
Answer = tuple[Array, Any]
Backward = tuple[Array, Array, Array]

SAMPLES = (0, 2)
FEATURES = 4096  # of one block
LEAF = 8  # samples


def _infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    wide = steps.wide(x)
    y = np.empty_like(x, order="C") if out is None else out
    deviation = np.sqrt(var.astype(wide) + epsilon)
    y[...] = (x - mean[:, None].astype(wide)) / deviation[:, None] * gamma[:, None] + beta[:, None]
    return y


def _written(value: Array, x: Array, out: Array | None) -> Array:
    y = np.empty(x.shape, x.dtype) if out is None else out
    y[...] = value
    return y


def _column(values: Array) -> Array:
    return values[:, None]


# Moments merged in a tree of halves.


def _halves(rows: Array) -> tuple[Array, Array]:
    """The mean of ``rows``, (samples, F), and the sum of squares about it."""
    count = len(rows)
    if count <= LEAF:
        mean = rows.sum(0) / count
        return mean, ((rows - mean) ** 2).sum(0)
    half = count // 2
    left, left_squares = _halves(rows[:half])
    right, right_squares = _halves(rows[half:])
    step = right - left
    mean = left + step * ((count - half) / count)
    return mean, left_squares + right_squares + step * step * (half * (count - half) / count)


def _blocks_of_halves(rows: Array) -> tuple[Array, Array]:
    """As ``_halves``, with the samples folded into at most 64 rows first, each row a leaf of its own."""
    count = len(rows)
    if count <= 64 * LEAF:
        return _halves(rows)
    folds = count // 64
    head = rows[: folds * 64].reshape(folds, 64, -1)
    means = head.mean(0)
    squares = ((head - means) ** 2).sum(0)
    mean, between = _halves(means)
    squares = squares.sum(0) + folds * between
    rest = rows[folds * 64 :]
    if len(rest):
        other, others = _halves(rest)
        step, first = other - mean, folds * 64
        squares = squares + others + step * step * (first * len(rest) / count)
        mean = mean + step * (len(rest) / count)
    return mean, squares


def _tree(x: Array, epsilon: float) -> tuple[Array, Array, Array]:
    rows = steps.by_sample(x).astype(steps.wide(x))
    mean, squares = _blocks_of_halves(rows)
    var = squares / len(rows)
    return mean, var, 1 / np.sqrt(var + epsilon)


# One pass, shifted by the first sample.


def _shifted(x: Array, epsilon: float) -> tuple[Array, Array, Array]:
    pivot = x[0, :, 0].real.astype(np.float64)  # any number near the mean will do
    off = x - pivot[:, None]
    samples = x.shape[0] * x.shape[2]
    first, second = off.sum(SAMPLES), (off * off).sum(SAMPLES)
    var = (second - first * first / samples) / samples
    var = np.where(var.real < 0, 0, var)
    return pivot + first / samples, var, 1 / np.sqrt(var + epsilon)


# Statistics that keep their axes, and a dictionary for saved.


def _keepdims_forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
    wide = steps.wide(x)
    mean = np.mean(x, axis=SAMPLES, keepdims=True, dtype=wide)
    var = np.mean(np.square(x - mean), axis=SAMPLES, keepdims=True)
    root = np.power(var + epsilon, -0.5)
    x_hat = (x - mean) * root
    return _written(x_hat * _column(gamma) + _column(beta), x, out), {"x_hat": x_hat, "root": root, "gamma": gamma}


def _keepdims_backward(dy: Array, saved: dict[str, Array], *, out: Gradients | None = None) -> Backward:
    x_hat, root, gamma = saved["x_hat"], saved["root"], saved["gamma"]
    dx_hat = dy * _column(gamma).astype(root.dtype)
    means = [np.mean(term, axis=SAMPLES, keepdims=True) for term in (dx_hat, dx_hat * x_hat)]
    dx = (dx_hat - means[0] - x_hat * means[1]) * root
    return stored(
        Gradients(dx, np.sum(dy * x_hat, axis=SAMPLES), np.sum(dy, axis=SAMPLES, dtype=root.dtype)), dy, gamma, out
    )


# Some features at a time, so that temporaries stay small.


def _in_blocks(features: int) -> list[slice]:
    return [slice(first, min(first + FEATURES, features)) for first in range(0, features, FEATURES)]


def _blocked_forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
    y = np.empty(x.shape, x.dtype) if out is None else out
    kept = []
    for at in _in_blocks(x.shape[1]):
        part = np.moveaxis(x[:, at], 1, -1).reshape(-1, at.stop - at.start).astype(steps.wide(x))
        part = part - part.mean(0)
        root = np.sqrt((part**2).sum(0) / len(part) + epsilon)
        part /= root
        y[:, at] = np.moveaxis((part * gamma[at] + beta[at]).reshape(x.shape[0], x.shape[2], -1), -1, 1)
        kept.append((at, part, gamma[at] / root))
    return y, (gamma, kept)


def _blocked_backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Backward:
    gamma, kept = saved
    dx, dgamma, dbeta = out or Gradients(np.empty(dy.shape, dy.dtype), np.empty_like(gamma), np.empty_like(gamma))
    for at, x_hat, scale in kept:
        part = np.moveaxis(dy[:, at], 1, -1).reshape(x_hat.shape).astype(x_hat.dtype)
        sums = part.sum(0), (part * x_hat).sum(0)
        dbeta[at], dgamma[at] = sums
        value = scale * (part - (sums[0] + x_hat * sums[1]) / len(part))
        dx[:, at] = np.moveaxis(value.reshape(dy.shape[0], dy.shape[2], -1), -1, 1)
    return dx, dgamma, dbeta


# A saved that serves one backward.


class _Once:
    """What forward keeps, until it is taken."""

    def __init__(self, *kept: Array) -> None:
        self.kept: tuple[Array, ...] | None = kept

    def take(self) -> tuple[Array, ...]:
        if self.kept is None:
            raise RuntimeError("backward was called a second time: what forward saved is freed")
        kept, self.kept = self.kept, None
        return kept


def _once_forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
    mean, _, inv_std = steps.statistics(x, epsilon)
    x_hat = (x - _column(mean)) * _column(inv_std)
    return _written(_column(gamma) * x_hat + _column(beta), x, out), _Once(x_hat, gamma, inv_std)


def _once_backward(dy: Array, saved: _Once, *, out: Gradients | None = None) -> Backward:
    x_hat, gamma, inv_std = saved.take()
    samples = dy.shape[0] * dy.shape[2]
    dbeta, dgamma = dy.sum(SAMPLES, dtype=inv_std.dtype), (dy * x_hat).sum(SAMPLES)
    dx = _column(gamma * inv_std / samples) * (samples * dy - _column(dbeta) - x_hat * _column(dgamma))
    return stored(Gradients(dx, dgamma, dbeta), dy, gamma, out)


# Contiguous arrays alone, as a kernel in C that is handed addresses.


def _contiguous(*arrays: Array) -> None:
    if not all(array.flags.c_contiguous for array in arrays):
        raise ValueError("give arrays that are contiguous")


def _strict_forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
    _contiguous(x, gamma, beta)
    outer, inner = x.shape[0], x.shape[2]
    ones = np.full(inner, 1 / inner)
    mean = (x @ ones).sum(0) / outer
    centred = x - _column(mean)
    var = (np.square(centred) @ ones).sum(0) / outer
    inv_std = 1 / np.sqrt(var + epsilon)
    scale = gamma * inv_std
    return _written(centred * _column(scale) + _column(beta), x, out), (centred, gamma, inv_std, ones)


def _strict_backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Backward:
    _contiguous(dy)
    centred, gamma, inv_std, ones = saved
    outer, _, inner = dy.shape
    dbeta, product = (dy @ ones).sum(0) * inner, ((dy * centred) @ ones).sum(0) * inner
    count = outer * inner
    slope = product * inv_std**2 / count
    dx = _column(gamma * inv_std) * (dy - _column(dbeta / count) - centred * _column(slope))
    return stored(Gradients(dx, product * inv_std, dbeta), dy, gamma, out)


def _strict_infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    _contiguous(x, gamma, beta, mean, var)
    return _infer(x, gamma, beta, mean, var, epsilon, out=out)


# One type, or half precision as well.


class _Own(NamedTuple):
    """What is kept in the type of the work."""

    x_hat: Array
    weight: Array
    gamma: Array


def _forward_in(work: Callable[[Array], Any]) -> Callable[..., Answer]:
    """A forward whose sums are in the type ``work(x)``."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        own = work(x)
        values = x.astype(own)
        values -= values.mean(SAMPLES, keepdims=True)
        values -= values.mean(SAMPLES, keepdims=True)  # of what rounding has left
        deviation = np.sqrt(np.square(values).mean(SAMPLES) + np.asarray(epsilon, own))
        values /= _column(deviation)
        y = values * _column(gamma).astype(own) + _column(beta).astype(own)
        return _written(y, x, out), _Own(values, _column(gamma.astype(own) / deviation), gamma)

    return forward


def _own_backward(dy: Array, saved: _Own, *, out: Gradients | None = None) -> Backward:
    values = dy.astype(saved.x_hat.dtype)
    dbeta, dgamma = values.sum(SAMPLES), np.multiply(values, saved.x_hat).sum(SAMPLES)
    count = values.dtype.type(dy.shape[0] * dy.shape[2])
    values -= _column(dbeta / count)
    values -= saved.x_hat * _column(dgamma / count)
    values *= saved.weight
    return stored(Gradients(values, dgamma, dbeta), dy, saved.gamma, out)


def _single_for_half(x: Array) -> Any:
    return np.float32 if x.dtype == np.float16 else steps.wide(x)


# Nothing kept but the input: backward computes the statistics again.


def _recomputing_forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
    centred, root = _centred_and_root(x, epsilon)
    return _written(centred / _column(root) * _column(gamma) + _column(beta), x, out), (x, gamma, epsilon)


def _centred_and_root(x: Array, epsilon: float) -> tuple[Array, Array]:
    """Two passes, with what the mean of the deviations is corrected for."""
    centred = x - x.mean(SAMPLES, keepdims=True, dtype=steps.wide(x))
    rest = centred.mean(SAMPLES)
    var = (centred * centred).mean(SAMPLES) - rest * rest
    return centred - _column(rest), np.sqrt(var + epsilon)


def _recomputing_backward(dy: Array, saved: tuple[Array, Array, float], *, out: Gradients | None = None) -> Backward:
    x, gamma, epsilon = saved
    centred, root = _centred_and_root(x, epsilon)
    x_hat = centred / _column(root)
    dbeta, dgamma = dy.sum(SAMPLES, dtype=x_hat.dtype), (dy * x_hat).sum(SAMPLES)
    count = dy.shape[0] * dy.shape[2]
    dx = _column(gamma / root) * (dy - (_column(dbeta) + x_hat * _column(dgamma)) / count)
    return stored(Gradients(dx, dgamma, dbeta), dy, gamma, out)


# Threads that share the features: each sums along rows, so that their number changes no bit.


def _rows(array: Array, at: slice) -> Array:
    part = array[:, at].transpose(1, 0, 2)
    return np.ascontiguousarray(part).reshape(len(part), -1).astype(steps.wide(array))


def _as_items(rows: Array, like: Array) -> Array:
    return rows.reshape(len(rows), like.shape[0], like.shape[2]).transpose(1, 0, 2)


def _threaded() -> Kernel:
    threads = 2

    def set_threads(count: int) -> int:
        nonlocal threads
        before, threads = threads, count
        return before

    def each(job: Callable[[slice], None], features: int) -> None:
        ends = [features * part // threads for part in range(threads + 1)]
        parts = [slice(*pair) for pair in pairwise(ends) if pair[0] < pair[1]]
        if len(parts) == 1:
            job(parts[0])
            return
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(job, parts))

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        y = np.empty(x.shape, x.dtype) if out is None else out
        mean, var, inv_std = (np.empty(x.shape[1], steps.wide(x)) for _ in range(3))

        def job(at: slice) -> None:
            rows = _rows(x, at)
            mean[at] = rows.mean(1)
            rows -= _column(mean[at])
            var[at] = np.square(rows).mean(1)
            inv_std[at] = 1 / np.sqrt(var[at] + epsilon)
            rows *= _column(inv_std[at] * gamma[at])
            rows += _column(beta[at])
            y[:, at] = _as_items(rows, x)

        each(job, x.shape[1])
        return y, Saved(x, gamma, mean, var, inv_std)

    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        gamma = saved.gamma
        found = out or Gradients(np.empty(dy.shape, dy.dtype), np.empty_like(gamma), np.empty_like(gamma))

        def job(at: slice) -> None:
            rows, inv_std = _rows(dy, at), saved.inv_std[at]
            centred = _rows(saved.x, at) - _column(saved.mean[at])
            dbeta, dgamma = rows.sum(1), (rows * centred).sum(1) * inv_std
            count = rows.shape[1]
            found.dbeta[at], found.dgamma[at] = dbeta, dgamma
            slope = centred * _column(inv_std * dgamma / count)
            found.dx[:, at] = _as_items(
                _column(inv_std) * (rows - _column(dbeta / count) - slope) * _column(gamma[at]), dy
            )

        each(job, dy.shape[1])
        return found

    return Kernel(forward, backward, _infer, set_threads=set_threads, name="threads", summary="threads share features")


# dx by projections on an orthonormal pair: the ones, and the deviations.


def _projecting_forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
    mean, var, inv_std = steps.statistics(x, epsilon)
    centred = x - _column(mean)
    y = _written(_column(gamma) * (centred * _column(inv_std)) + _column(beta), x, out)
    return y, (centred, gamma, var, epsilon)


def _projecting_backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Backward:
    centred, gamma, var, epsilon = saved
    count = dy.shape[0] * dy.shape[2]
    length = np.sqrt(var * count)
    unit = centred / _column(np.where(length == 0, 1, length))
    inv_std, kept = 1 / np.sqrt(var + epsilon), var / (var + epsilon)
    along = (dy * unit).sum(SAMPLES)
    dbeta = dy.sum(SAMPLES, dtype=centred.dtype)
    dx = _column(gamma * inv_std) * (dy - _column(dbeta / count) - unit * _column(along * kept))
    return stored(Gradients(dx, along * length * inv_std, dbeta), dy, gamma, out)


# Channels last within, and results that lie so.


def _last(array: Array) -> Array:
    return np.ascontiguousarray(array.transpose(0, 2, 1))


def _last_forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
    values = _last(x).astype(steps.wide(x))
    count = values.shape[0] * values.shape[1]
    mean = values.sum((0, 1)) / count
    values -= mean
    inv_std = 1 / np.sqrt(np.einsum("nsf,nsf->f", values, values) / count + epsilon)
    values *= inv_std
    y = (values * gamma + beta).astype(x.dtype).transpose(0, 2, 1)
    if out is None:
        return y, (values, gamma, inv_std)
    out[...] = y
    return out, (values, gamma, inv_std)


def _last_backward(dy: Array, saved: tuple[Array, Array, Array], *, out: Gradients | None = None) -> Backward:
    x_hat, gamma, inv_std = saved
    values = _last(dy).astype(x_hat.dtype)
    count = values.shape[0] * values.shape[1]
    dbeta, dgamma = values.sum((0, 1)), np.einsum("nsf,nsf->f", values, x_hat)
    values -= dbeta / count
    values -= x_hat * (dgamma / count)
    values *= inv_std * gamma
    found = Gradients(values.astype(dy.dtype).transpose(0, 2, 1), dgamma.astype(dy.dtype), dbeta.astype(dy.dtype))
    if out is None:
        return found
    for array, value in zip(out, found, strict=True):
        array[...] = value
    return out


# Deviations divided by the largest before they are squared.


def _scaled(x: Array, epsilon: float) -> tuple[Array, Array, Array]:
    mean = x.mean(SAMPLES, dtype=steps.wide(x))
    centred = x - _column(mean)
    largest = np.abs(centred).max(SAMPLES)
    largest = np.where(largest == 0, 1, largest)
    share = np.square(centred / _column(largest)).mean(SAMPLES)
    inv_std = 1 / np.sqrt(share * largest * largest + epsilon)
    return mean, share * largest * largest, inv_std


# y as scale * x + shift, two numbers a feature.


def _folded(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    return np.asarray(centred * (gamma * inv_std) + beta)


def _folded_infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    scale = gamma / np.sqrt(var.astype(steps.wide(x)) + epsilon)
    shift = beta - mean * scale
    return _written(_column(scale) * x + _column(shift), x, out)


def _of(name: str, summary: str, forward: Any, backward: Any, infer: Any = _infer, **more: Any) -> Kernel:
    return Kernel(forward, backward, infer, name=name, summary=summary, **more)


def _with(name: str, summary: str, infer: Any = _infer, **own: Any) -> Kernel:
    """The right steps, but for ``own``."""
    built = steps.build(steps.Steps(**own))
    return Kernel(built.forward, built.backward, infer, name=name, summary=summary)


KERNELS = (
    _with("tree", "moments merged in a tree of halves", statistics=_tree),
    _with("shifted", "one pass over x minus its first sample", statistics=_shifted),
    _with(
        "scaled",
        "deviations divided by their largest, then squared",
        statistics=_scaled,
        dx=lambda t: (t.dy - t.mean_dy - t.slope) * t.inv_std * t.gamma,
    ),
    _with(
        "folded",
        "y and inference as scale * x + shift",
        _folded_infer,
        affine=_folded,
        dx=lambda t: t.scale * t.dy - t.scale * t.mean_dy - t.scale * t.slope,
    ),
    _of("keepdims", "statistics that keep their axes; saved is a dictionary", _keepdims_forward, _keepdims_backward),
    _of("blocks", "some features at a time", _blocked_forward, _blocked_backward),
    _of("single-use", "a second backward of one forward raises", _once_forward, _once_backward),
    _of("strict", "arrays that are not contiguous are refused", _strict_forward, _strict_backward, _strict_infer),
    _of(
        "float32-only",
        "all in float32, the only type",
        _forward_in(lambda x: np.float32),
        _own_backward,
        dtypes=("float32",),
    ),
    _of(
        "half",
        "sums in float32 for half precision",
        _forward_in(_single_for_half),
        _own_backward,
        dtypes=("float16", "float32", "float64"),
    ),
    _of("recomputing", "backward computes the statistics again", _recomputing_forward, _recomputing_backward),
    _threaded(),
    _of("projections", "dx by projections on orthonormal directions", _projecting_forward, _projecting_backward),
    _of("channels-last", "results that lie channels last", _last_forward, _last_backward),
)
