"""Which samples a kernel counts, and how often, found by probing it.

dbeta is linear in dy, and so is dgamma; the mean is linear in x. So a batch that is 0 but for one sample shows the
weight of that sample in the sum: 1 in a right kernel. Features do not interact, so one call probes one sample
in each feature. The sentence on the weights is given only if the weights predict the kernel's wrong array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Gradients, Kernel
from bncli.errors import KernelFault
from bncli.verification._diagnosis.evidence import Evidence
from bncli.verification._diagnosis.facts import SAMPLES, mean
from bncli.verification._diagnosis.weights_in_words import described

Array = NDArray[Any]

SECONDS = 0.8  # for the probes of one array
FIRST = 0.1  # seconds: the first calls may be slower than the rest
EXACT = 2e-3  # a weight so near to a whole number is that number


class _TooSlow(Exception):
    """All the probes would take longer than ``SECONDS``."""


def probed(kernel: Kernel, case: Case, evidence: Evidence) -> tuple[str, ...]:
    """Which samples count in the wrong array of ``evidence``; () if all do, or if weights do not explain it.

    ``kernel`` is guarded, and ``case`` the whole one, whose features the evidence may hold some of.
    """
    find = FINDERS.get(evidence.name)
    if find is None or case.problem.samples < 2 or not np.isfinite(evidence.actual).all():
        return ()
    try:
        with np.errstate(all="ignore"):
            return next(_sentences(evidence, find(_Probes(kernel, case))), ())
    except (KernelFault, _TooSlow):
        return ()


class _Probes:
    """Calls of ``kernel`` in which each feature has one sample that is not 0."""

    def __init__(self, kernel: Kernel, case: Case) -> None:
        self.kernel, self.case = kernel, case
        self.count, self.features = case.problem.samples, case.problem.features
        self.inner = case.x.shape[2]
        self.saved: Any = None

    def of(self, answer: Callable[[Array, Array], Array]) -> Array:
        """``answer(outer, inner)`` for each sample, (n, ...): the indices are (F,), one sample in each feature.

        Raises _TooSlow if all samples would take too long.
        """
        start = perf_counter()
        found: list[Array] = []
        for first in range(0, self.count, self.features):
            numbers = np.minimum(first + np.arange(self.features), self.count - 1)
            found.append(answer(*np.divmod(numbers, self.inner)))
            done = min(first + self.features, self.count) / self.count
            spent = perf_counter() - start
            if spent > FIRST and spent / done > SECONDS:
                raise _TooSlow
        return np.concatenate(found)[: self.count]

    def zeros(self) -> Array:
        return np.zeros_like(self.case.x)

    def forward(self, x: Array) -> tuple[Array, Any]:
        return self.kernel.forward(x, self.case.gamma, self.case.beta, self.case.problem.epsilon)

    def gradients(self, dy: Array) -> Gradients:
        """The gradients for ``dy``; one forward serves all backwards if the kernel allows it."""
        try:
            self.saved = self.saved or self.forward(self.case.x)
            found = self.kernel.backward(dy, self.saved[1])
        except KernelFault:
            self.saved = None
            found = self.kernel.backward(dy, self.forward(self.case.x)[1])
        return Gradients(*(np.asarray(each, np.float64) for each in found))


def _of_dbeta(probes: _Probes) -> dict[str, Array]:
    of_all = np.arange(probes.features)

    def answer(outer: Array, inner: Array) -> Array:
        dy = probes.zeros()
        dy[outer, of_all, inner] = 1
        return probes.gradients(dy).dbeta

    return {"dbeta": probes.of(answer)}


def _of_dgamma(probes: _Probes) -> dict[str, Array]:
    """With dy = 1 / x_hat at the sample, its term of dgamma is 1."""
    of_all, x_hat = np.arange(probes.features), _x_hat(probes.case)

    def answer(outer: Array, inner: Array) -> Array:
        dy = probes.zeros()
        dy[outer, of_all, inner] = 1 / x_hat[outer, of_all, inner]
        return probes.gradients(dy).dgamma

    return {"dgamma": probes.of(answer)}


def _of_dx(probes: _Probes) -> dict[str, Array]:
    """The weights in the means of dy and of dy * x_hat.

    With dy = 1 at sample i, dx at every other sample j is -gamma * inv_std / n times w_i + v_i * x_hat_i * x_hat_j.
    """
    case, count, of_all = probes.case, probes.count, np.arange(probes.features)
    x_hat, scale = _x_hat(case), case.gamma.astype(np.float64) * _inv_std(case)

    def answer(outer: Array, inner: Array) -> Array:
        dy, other = probes.zeros(), np.ones(case.x.shape, bool)
        dy[outer, of_all, inner] = 1
        other[outer, of_all, inner] = False
        rest = np.where(other, -count * probes.gradients(dy).dx / scale[:, None], 0)
        others = np.where(other, x_hat, 0)
        ones, along, square = count - 1, others.sum(SAMPLES), (others**2).sum(SAMPLES)
        total, product = rest.sum(SAMPLES), (rest * others).sum(SAMPLES)
        determinant = ones * square - along**2
        of_mean = (total * square - product * along) / determinant
        of_slope = (product * ones - total * along) / determinant / x_hat[outer, of_all, inner]
        return np.stack([of_mean, of_slope], axis=1)

    found = probes.of(answer)
    return {"the mean of dy in dx": found[:, 0], "the mean of dy * x_hat in dx": found[:, 1]}


def _of_y(probes: _Probes) -> dict[str, Array]:
    """The weights in the mean, and those in the variance.

    With x = 1 at sample i and 0 elsewhere, y is gamma * inv_std * (1 - mean) + beta there, and elsewhere
    -gamma * inv_std * mean + beta. So y shows the mean and inv_std of the batch.
    """
    case, count, of_all = probes.case, probes.count, np.arange(probes.features)
    gamma, beta = case.gamma.astype(np.float64), case.beta.astype(np.float64)

    def answer(outer: Array, inner: Array) -> Array:
        x = probes.zeros()
        x[outer, of_all, inner] = 1
        y = np.array(probes.forward(x)[0], np.float64)
        at = y[outer, of_all, inner]
        y[outer, of_all, inner] = np.nan
        # NaN comes last, so this is the median of the others.
        elsewhere = np.sort(y.transpose(1, 0, 2).reshape(probes.features, -1))[:, (count - 2) // 2]
        average = (beta - elsewhere) / (at - elsewhere)
        var = (gamma / (at - elsewhere)) ** 2 - case.problem.epsilon
        return np.stack([count * average, count * var], axis=1)

    found = probes.of(answer)
    of_mean, squares = found[:, 0], found[:, 1]
    # Where the mean is right, n * var is v_i * (1 - 1/n)**2, and v_j / n**2 of each other sample.
    whole = squares.sum() / (1 - 1 / count)
    return {"the mean": of_mean, "the variance": (squares - whole / count**2) / (1 - 2 / count)}


FINDERS: dict[str, Callable[[_Probes], dict[str, Array]]] = {
    "y": _of_y,
    "dx": _of_dx,
    "dgamma": _of_dgamma,
    "dbeta": _of_dbeta,
}


def _x_hat(case: Case) -> Array:
    x = case.x.astype(np.float64)
    return np.asarray((x - mean(x)) * _inv_std(case)[:, None])


def _inv_std(case: Case) -> Array:
    return np.asarray(1 / np.sqrt(case.x.astype(np.float64).var(SAMPLES) + case.problem.epsilon))


def _sentences(evidence: Evidence, found: dict[str, Array]) -> Iterator[tuple[str, ...]]:
    """The sentences on the sums with wrong weights, if these weights predict the wrong array."""
    shape = evidence.facts.x.shape
    weights = {name: np.where(np.abs(w - np.rint(w)) < EXACT, np.rint(w), w) for name, w in found.items()}
    wrong = {name: w for name, w in weights.items() if np.isfinite(w).all() and (w != 1).any()}
    if len(wrong) > 1 and len({w.tobytes() for w in wrong.values()}) > 1:
        first = next(iter(wrong))
        wrong = {first: wrong[first]} if evidence.name == "y" else wrong
    said = tuple(filter(None, (described(name, w, evidence.facts) for name, w in wrong.items())))
    arrays = {name: weights[name].reshape(shape[0], 1, shape[2]) for name in weights if name in wrong}
    if said and len(said) == len(wrong) and any(map(evidence.fits, _predictions(evidence, arrays))):
        yield said


def _predictions(evidence: Evidence, weights: dict[str, Array]) -> Iterator[Array]:
    """The wrong array as computed with ``weights``, each (N, 1, S); other weights are 1."""
    f = evidence.facts

    def weighted(name: str, array: Array) -> Array:
        return mean(weights.get(name, 1) * array)

    if evidence.name in ("dgamma", "dbeta"):
        yield f.samples * weighted(evidence.name, f.dy * f.x_hat if evidence.name == "dgamma" else f.dy)
    elif evidence.name == "dx":
        of_slope = weighted("the mean of dy * x_hat in dx", f.dy * f.x_hat)
        yield f.dx(weighted("the mean of dy in dx", f.dy), f.x_hat * of_slope)
    else:
        centred = f.x - weighted("the mean", f.x)
        own = weights.get("the mean", np.ones(1))
        for var in (weighted("the variance", centred**2), f.var, mean(own * centred**2), mean(own * f.x**2)):
            yield f.gamma * centred / np.sqrt(var + f.epsilon) + f.beta
