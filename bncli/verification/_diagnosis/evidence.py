"""The evidence on a wrong array: its values, its right values, and the errors that rounding explains.

Every array is float64 and has its features on axis 1: values of samples are (N, F, S), values of features,
dgamma and dbeta included, (1, F, 1). So formulas read as they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Gradients, Saved
from bncli.core.problem import Problem
from bncli.loading.registry import load_kernel
from bncli.verification import accuracy, tolerance
from bncli.verification._diagnosis.facts import SAMPLES, Facts, mean

Array = NDArray[Any]

INFER = "infer"  # the name of the y of inference
DX_OF_INFERENCE, DGAMMA_OF_INFERENCE, DBETA_OF_INFERENCE = accuracy.GRADIENTS_OF_INFERENCE


EXPLAINED = 0.5  # of the error (root mean square) an explanation may leave


class Candidate(NamedTuple):
    """A possible explanation: its sentences, and the array that it predicts.

    ``size`` is the scale of the terms of that prediction relative to the right ones.
    """

    sentences: tuple[str, ...]
    prediction: Array
    size: Array | float = 1.0


@dataclass(frozen=True)
class Evidence:
    """One array as the kernel returned it (``actual``), its right values (``expected``), and rounding errors.

    ``allowed`` is the rounding error of a right kernel: ``budget`` times the magnitude of the element.
    ``noise`` is the rounding error to allow when testing an *alternative* formula; it grows with the
    kernel's own values. ``others`` are the other wrong arrays, as the kernel returned them.
    """

    name: str
    facts: Facts
    budget: float
    actual: Array
    expected: Array
    allowed: Array
    noise: Array
    others: Mapping[str, Array] = field(default_factory=dict)

    def take(self, chosen: Array) -> Evidence:
        """The ``chosen`` features alone: a mask or indices."""
        arrays = {name: getattr(self, name)[:, chosen] for name in ("actual", "expected", "allowed", "noise")}
        others = {name: array[:, chosen] for name, array in self.others.items()}
        return replace(self, facts=self.facts.take(chosen), others=others, **arrays)

    @property
    def wrong(self) -> Array:
        """The elements whose error is above ``allowed``; NaN is wrong."""
        return np.asarray(~(np.abs(self.actual - self.expected) <= self.allowed))

    @property
    def informative(self) -> int:
        """The number of elements whose error is above ``noise``. A fit of n numbers needs more than n of them."""
        return int((np.abs(self.actual - self.expected) > self.noise).sum())

    @property
    def wrong_features(self) -> Array:
        """The features that have a wrong element, (F,)."""
        return np.asarray(self.wrong.any(SAMPLES))

    def fits(self, prediction: Array, size: Array | float = 1.0) -> bool:
        """Whether ``actual`` is ``prediction`` up to rounding.

        ``size`` is the scale of the prediction's terms relative to the right ones. It cannot be seen in the
        prediction if the terms cancel.
        """
        return bool((np.abs(self.actual - prediction) <= np.maximum(self.noise, self.allowed * size)).all())

    def misfit(self, prediction: Array) -> float:
        """The root mean square of ``actual - prediction``, in units of ``noise``."""
        left = np.divide(self.actual - prediction, self.noise, where=self.noise > 0, out=np.zeros_like(self.noise))
        return float(np.sqrt((left * left).mean()))

    def best(self, candidates: Iterable[Candidate]) -> Candidate | None:
        """The first candidate that fits and explains most of the error.

        A later one is preferred if its misfit is less than half.
        """
        best, least = None, np.inf
        enough = EXPLAINED * self.misfit(self.expected) or np.inf
        for candidate in candidates:
            if not self.fits(candidate.prediction, candidate.size):
                continue
            if self.misfit(candidate.prediction) > enough:
                continue
            if (left := self.misfit(candidate.prediction)) < least / 2:
                best, least = candidate, left
        return best

    def explained_by(self, candidates: Iterable[Candidate]) -> tuple[str, ...]:
        """The sentences of the best candidate; () if none fits."""
        best = self.best(candidates)
        return best.sentences if best else ()


def gather(
    case: Case, actual: Mapping[str, Array], features: Array | None = None, problem: Problem | None = None
) -> dict[str, Evidence]:
    """The evidence of each array of ``actual``, on the features where it is expected to be finite.

    Raises ValueError where ``features`` are not as many as the case's, or not among the problem's.
    """
    of_inference = [name for name in actual if name in (INFER, *accuracy.GRADIENTS_OF_INFERENCE)]
    of_training = [name for name in actual if name not in of_inference]
    found = dict(_training(case, of_training, features, problem or case.problem, actual)) if of_training else {}
    if of_inference:
        found |= _inference(case, of_inference, features, problem or case.problem, actual)
    return {name: found[name] for name in actual}


def _training(
    case: Case, names: Iterable[str], features: Array | None, problem: Problem, actual: Mapping[str, Array]
) -> Iterator[tuple[str, Evidence]]:
    # With a float64 `out` the reference returns the digits of a float64 for float32 data too.
    y, dx = np.empty(case.x.shape), np.empty(case.x.shape)
    gradients = Gradients(dx, np.empty(case.gamma.shape), np.empty(case.gamma.shape))
    reference = load_kernel("reference")
    _, saved = reference.forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=y)
    reference.backward(case.dy, saved, out=gradients)
    expected = {"y": y, **gradients._asdict(), **{name: getattr(saved, name) for name in accuracy.STATISTICS}}
    sizes = tolerance.magnitudes(case.dy, saved, case.beta, case.problem.dtype)
    facts = _facts(case, saved, features, problem)
    for name in names:
        budget = tolerance.budget(case.problem, name)
        others = {other: _cube(actual[other]) for other in names if other != name}
        yield name, _evidence(name, facts, actual[name], expected[name], sizes[name].whole, budget, others)


def _inference(
    case: Case, names: Iterable[str], features: Array | None, problem: Problem, actual: Mapping[str, Array]
) -> Iterator[tuple[str, Evidence]]:
    """The evidence on the y and the gradients of inference: the statistics of its facts are the given ones."""
    facts = _facts(case, accuracy.frozen(case), features, problem)
    _, _, y, size_of_y = accuracy.inference(case)
    expected = {INFER: (y, size_of_y), **accuracy.gradients_of_inference(case)}
    for name in names:
        value, magnitude = expected[name]
        yield name, _evidence(name, facts, actual[name], value, magnitude.whole, tolerance.budget(case.problem, name))


def _facts(case: Case, saved: Saved, features: Array | None, problem: Problem) -> Facts:
    count = case.gamma.size
    numbers = np.arange(count) if features is None else np.asarray(features)
    if numbers.size != count or numbers.min() < 0 or numbers.max() >= problem.features:
        raise ValueError(f"{numbers.size} features up to {numbers.max()}: give {count}, of the {problem.features}")
    centred = case.x - saved.mean[:, None]
    x_hat = centred * saved.inv_std[:, None]
    arrays = {"x": case.x, "dy": case.dy, "centred": centred, "x_hat": x_hat, "gamma": case.gamma, "beta": case.beta}
    statistics = {"mean": saved.mean, "var": saved.var, "inv_std": saved.inv_std}
    cubes: dict[str, Any] = {name: _cube(array) for name, array in {**arrays, **statistics}.items()}
    return Facts(problem, numbers, **cubes)


def _evidence(
    name: str,
    facts: Facts,
    actual: Array,
    expected: Array,
    size: Array,
    budget: float,
    others: Mapping[str, Array] | None = None,
) -> Evidence:
    actual, expected, size = (_cube(array) for array in (actual, expected, size))
    own = np.abs(actual)
    noise = budget * (size + own + mean(np.where(np.isfinite(own), own, 0)))
    judged = np.asarray((np.isfinite(expected) & np.isfinite(size)).all(SAMPLES))
    evidence = Evidence(name, facts, budget, actual, expected, budget * size, noise, others or {})
    return evidence if judged.all() else evidence.take(judged)


def _cube(array: Array) -> Array:
    shape = array.shape if array.ndim == 3 else (1, prod(array.shape), 1)
    return np.asarray(array, np.float64).reshape(shape)
