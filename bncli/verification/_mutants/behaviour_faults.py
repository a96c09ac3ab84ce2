"""Faults in how a kernel behaves: order and threads, NaN, types and shapes, and input that it cannot take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.core.problem import Problem
from bncli.verification._mutants.mutant import (
    Mutant,
    Needs,
    Visible,
    always,
    hidden,
    in_float32,
    in_float64,
    mutant,
    several_features,
    several_samples,
)
from bncli.verification._mutants.steps import RIGHT, Steps, build, by_sample, memory_of, total

Array = NDArray[Any]
Answer = tuple[Array, Saved]
Backward = tuple[Array, Array, Array]

THREADS: Needs = "two threads"
AGAIN: Needs = "a second call"
POISON: Needs = "NaN in one feature"
READ_ONLY: Needs = "read-only input"
STRIDED: Needs = "input that is not contiguous"
NO_GAMMA: Needs = "a gamma of 0"


def _many_sums(problem: Problem) -> bool:
    """So many that not all of them come out the same, by chance, in another order."""
    return problem.samples > 2 and problem.size >= 200


def _batch_of_one(problem: Problem) -> bool:
    return problem.canonical_shape[0] == 1


def _random_order() -> Kernel:
    rng = np.random.default_rng(0)

    def shuffled(values: Array) -> Array:
        rows = by_sample(values)
        return np.asarray(rows[rng.permutation(len(rows))].sum(0))

    return build(Steps(total=shuffled))


def _threaded(share: Callable[[Array, int], Array]) -> Kernel:
    """The right kernel with sums ``share(values, threads)``, and one thread until it is given more."""
    threads = 1

    def set_threads(count: int) -> int:
        nonlocal threads
        before, threads = threads, count
        return before

    return replace(build(Steps(total=lambda values: share(values, threads))), set_threads=set_threads)


def _without_the_last(values: Array, threads: int) -> Array:
    return total(values if threads == 1 else by_sample(values)[:-1, :, None])


def _equal_shares(values: Array, threads: int) -> Array:
    rows = by_sample(values)
    return total(rows[: max(len(rows) // threads, 1) * threads, :, None])


def _reading(change: Callable[[Array], Array]) -> Kernel:
    """The right kernel, given ``change(x)`` for x."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        return RIGHT.forward(change(x), gamma, beta, epsilon, out=out)

    return replace(RIGHT, forward=forward)


def _only_writeable(x: Array) -> Array:
    if not x.flags.writeable:
        raise ValueError("buffer source array is read-only")
    return x


def _only_batches(x: Array) -> Array:
    if len(x) == 1:
        raise ValueError("expected more than 1 value per channel when training")
    return x


def _returning_y(change: Callable[[Array, Array], Array]) -> Kernel:
    """The right kernel, but for ``change(x, y)``."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        return change(x, y), saved

    return replace(RIGHT, forward=forward)


def _touched_by_all(x: Array, y: Array) -> Array:
    y += 0 * x.sum()
    return y


def _returning_gradients(change: Callable[[Array, Array, Array], Any]) -> Kernel:
    """The right kernel, but for ``change(dx, dgamma, dbeta)``."""

    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Any:
        return change(*RIGHT.backward(dy, saved, out=out))

    return replace(RIGHT, backward=backward)


def _fail(dx: Array, dgamma: Array, dbeta: Array) -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def _y_alone() -> Kernel:
    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Any:
        return RIGHT.forward(x, gamma, beta, epsilon, out=out)[0]

    return replace(RIGHT, forward=forward)


def _x_hat_from_y() -> Kernel:
    """It keeps y in the place of x."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Any]:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        return y, (y.copy(), beta.copy(), saved._replace(x=x[:0]))

    def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Backward:
        y, beta, rest = saved
        x_hat = (y - beta[:, None].astype(np.float64)) / rest.gamma[:, None]
        x = x_hat / rest.inv_std[:, None] + rest.mean[:, None]
        return RIGHT.backward(dy, rest._replace(x=x), out=out)

    return Kernel(forward, backward, RIGHT.infer)


def _behaviour(name: str, about: str, kernel: Kernel, needs: Needs = "", visible: Visible = always) -> Mutant:
    return mutant(name, about, "contract", kernel, visible, needs)


MUTANTS = (
    _behaviour("random-order", "sums are taken in a random order", _random_order(), AGAIN, _many_sums),
    _behaviour("thread-drops", "threads lose the last sample", _threaded(_without_the_last), THREADS, several_samples),
    hidden(
        "threads-drop-remainder",
        "drops the samples of dy that equal shares among threads leave over",
        "contract",
        lambda: _threaded(_equal_shares),
        "33x5/per-activation/float64/eps=1e-05 threads=2",
    ),
    _behaviour("nan-spreads", "NaN in a feature reaches all", _returning_y(_touched_by_all), POISON, several_features),
    _behaviour("y-in-float64", "y is float64", _returning_y(lambda x, y: y.astype(np.float64)), visible=in_float32),
    _behaviour(
        "dx-in-float32",
        "dx is float32",
        _returning_gradients(lambda dx, dgamma, dbeta: (dx.astype(np.float32), dgamma, dbeta)),
        visible=in_float64,
    ),
    _behaviour(
        "dgamma-keeps-axes",
        "dgamma has the shape (1, F, 1)",
        _returning_gradients(lambda dx, dgamma, dbeta: (dx, dgamma[None, :, None], dbeta)),
    ),
    _behaviour("y-alone", "forward returns y alone", _y_alone()),
    _behaviour("dx-alone", "backward returns dx alone", _returning_gradients(lambda dx, dgamma, dbeta: dx)),
    _behaviour("backward-raises", "backward raises", _returning_gradients(_fail)),
    _behaviour("batch-of-one-refused", "forward raises for a batch of one", _reading(_only_batches), "", _batch_of_one),
    _behaviour("read-only-refused", "forward raises for read-only x", _reading(_only_writeable), READ_ONLY),
    _behaviour("x-hat-from-y", "x_hat is (y - beta) / gamma", _x_hat_from_y(), NO_GAMMA, several_samples),
    _behaviour("strides-ignored", "x is read as if contiguous", _reading(memory_of), STRIDED, several_samples),
)
