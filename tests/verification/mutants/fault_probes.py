"""What a seeded fault may need to show, and the problems on which it may."""

import dataclasses
import functools
import itertools

import numpy as np

from bncli.core.kernel import Gradients
from bncli.core.problem import Problem
from bncli.verification.mutants import MUTANTS
from naive import expected_of

PROBLEMS = [
    "5x4x4x3/eps=0.001",
    "9x9/eps=0.0",  # as many samples as features, and no epsilon to get wrong
    "16x5/eps=1e-05",  # whole vectors of samples, and the epsilon that is often hard-coded
    "6x1/eps=0.5",
    "5x3x4x2/channels-last/eps=0.001",
    "7x3x4x2/channels-first/eps=0.001",
    "7x3x4x2/channels-first/float32/eps=0.01",
    "1x3x4x5/channels-first/eps=0.001",
    "5x4x4x3/float32/eps=0.01",
]
EXTREMES = ["1x5/eps=0.1", "700x3/float32/eps=1e-05"]
TOLERANCE = {"float64": 1e-11, "float32": 5e-5}
ARRAYS = ("x", "gamma", "beta", "dy")


def writable(case, **changes):
    arrays = {name: getattr(case, name).copy() for name in ARRAYS}
    return dataclasses.replace(case, **arrays | changes)


def results_of(kernel, case):
    found, epsilon = {}, case.problem.epsilon
    if kernel.infer:
        found["inferred"] = kernel.infer(case.x, case.gamma, case.beta, case.mean, case.var, epsilon)
    found["y"], saved = kernel.forward(case.x, case.gamma, case.beta, epsilon)
    found["dx"], found["dgamma"], found["dbeta"] = kernel.backward(case.dy, saved)
    if kernel.infer_backward:
        _, kept = kernel.infer_forward(case.x, case.gamma, case.beta, case.mean, case.var, epsilon)
        names = (f"{name} of inference" for name in Gradients._fields)
        found |= zip(names, kernel.infer_backward(case.dy, kept), strict=True)
    return found | {name: getattr(saved, name) for name in ("mean", "var", "inv_std") if hasattr(saved, name)}


def differs(actual, expected, dtype):
    if actual.shape != expected.shape:
        return True
    error, size = np.abs(actual - expected).max(), np.abs(expected).max()
    return not error <= TOLERANCE[dtype] * size


def shows(kernel, case):
    """One call of each function: does it raise, or return anything but what it should?"""
    dtype, expected = case.problem.dtype, expected_of(case)
    try:
        with np.errstate(all="ignore"):
            actual = results_of(kernel, case)
    except (RuntimeError, TypeError, ValueError):
        return True
    typed = all(actual[name].dtype == dtype for name in ("y", "dx", "dgamma", "dbeta"))
    return not typed or any(differs(array, expected[name], dtype) for name, array in actual.items())


# What a mutant may need, as (kernel, ordinary case) -> whether it shows then.


def negative_gamma(kernel, case):
    return shows(kernel, writable(case, gamma=-case.gamma))


def no_gamma(kernel, case):
    return shows(kernel, writable(case, gamma=0 * case.gamma))


def both_signs(kernel, case):
    return shows(kernel, writable(case, x=case.x - case.x.mean()))


def far_from_zero(kernel, case):
    return shows(kernel, writable(case, x=case.x + case.x.dtype.type(1e4)))


def poisoned(kernel, case):
    bad = writable(case)
    bad.x[:, 0] = np.nan
    clean, found = results_of(kernel, case), results_of(kernel, bad)
    rest = {name: array[:, 1:] if array.ndim == 3 else array[1:] for name, array in clean.items()}
    return any(
        not np.array_equal(found[name][:, 1:] if found[name].ndim == 3 else found[name][1:], array)
        for name, array in rest.items()
    )


def called_again(kernel, case):
    other = writable(case, x=case.x * 2, dy=case.dy * 3, beta=case.beta + 1)
    first = results_of(kernel, case)
    kept = {name: array.copy() for name, array in first.items()}
    for _ in range(2):
        results_of(kernel, other)
    overwritten = any(not np.array_equal(first[name], array) for name, array in kept.items())
    again = results_of(kernel, case)
    return overwritten or any(not np.array_equal(again[name], array) for name, array in kept.items())


def interleaved(kernel, case):
    other = writable(case, x=case.x * 2)
    _, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    kernel.forward(other.x, other.gamma, other.beta, case.problem.epsilon)
    return differs(kernel.backward(case.dy, saved)[0], expected_of(case)["dx"], case.problem.dtype)


def changed_in_place(kernel, case):
    case = writable(case)
    kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    case.x[...] = np.sqrt(case.x)
    y, _ = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    return differs(y, expected_of(case)["y"], case.problem.dtype)


def damaged(kernel, case):
    case = writable(case, mean=case.mean.copy(), var=case.var.copy())
    before = {name: getattr(case, name).copy() for name in (*ARRAYS, "mean", "var")}
    results_of(kernel, case)
    return any(not np.array_equal(getattr(case, name), array) for name, array in before.items())


def written_into(kernel, case):
    expected, dtype = expected_of(case), case.problem.dtype
    out = {name: np.full(expected[name].shape, np.nan, dtype) for name in ("y", *Gradients._fields)}
    _, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=out["y"])
    kernel.backward(case.dy, saved, out=Gradients(*(out[name] for name in Gradients._fields)))
    return any(differs(array, expected[name], dtype) for name, array in out.items())


def threaded(kernel, case):
    if not kernel.set_threads:
        return False
    found = []
    for threads in (2, 1):
        kernel.set_threads(threads)
        found.append(results_of(kernel, case))
    return any(not np.array_equal(array, found[1][name]) for name, array in found[0].items())


def read_only(kernel, case):
    case = writable(case)
    case.x.flags.writeable = False
    return shows(kernel, case)


def strided(kernel, case):
    wide = np.repeat(case.x, 2, axis=1)
    wide[:, 1::2] = 0
    return shows(kernel, writable(case, x=wide[:, ::2]))


def in_parts(kernel, case):
    """Parts of 1, 2, 4, 0 and 0 items, folded from either end, near 0 and far from it."""
    if not kernel.parts:
        return False
    rng = np.random.default_rng(case.seed)
    x, dy = rng.normal(size=(2, 7, 3, 2))
    cuts, inv_std = [slice(0, 1), slice(1, 3), slice(3, 7), slice(7, 7), slice(7, 7)], np.array([2.0, 3.0, 4.0])
    for far, way in itertools.product((1.0, 1e7), (1, -1)):
        moved = x + far
        mean = moved.mean((0, 2))
        centred = moved - mean[:, None]
        right = [np.full(3, 14), mean, (centred**2).sum((0, 2))]
        right += [dy.sum((0, 2)), (dy * centred).sum((0, 2)) * inv_std]
        with np.errstate(all="ignore"):
            stats = [kernel.parts.stats(moved[cut]) for cut in cuts[::way]]
            before = np.array([each[1] for each in stats])
            found = [*functools.reduce(kernel.parts.merge, stats)]
        sums = [kernel.parts.reduce(dy[cut], moved[cut], mean, inv_std) for cut in cuts]
        found += [sum(each) for each in zip(*sums, strict=True)]
        changed = not np.array_equal(before, [each[1] for each in stats])
        if changed or any(not np.allclose(a, b, 1e-9, 1e-6) for a, b in zip(found, right, strict=True)):
            return True
    return False


def takes(kernel, problem):
    return Problem.parse(problem).dtype in kernel.dtypes


PROBES = {
    "a negative gamma": negative_gamma,
    "a gamma of 0": no_gamma,
    "x of both signs": both_signs,
    "a mean far above the deviation": far_from_zero,
    "NaN in one feature": poisoned,
    "a second call": called_again,
    "a second forward before the first one's backward": interleaved,
    "other values in the same array": changed_in_place,
    "a look at the inputs afterwards": damaged,
    "arrays to write into": written_into,
    "two threads": threaded,
    "read-only input": read_only,
    "input that is not contiguous": strided,
    "parts of a batch": in_parts,
}

HIDDEN = [mutant for mutant in MUTANTS if mutant.case]
# The faults of layers have a test of their own.
PLAIN = [mutant for mutant in MUTANTS if not mutant.case and mutant.kind != "layer"]
VISIBLE = [(mutant, problem) for mutant in PLAIN for problem in PROBLEMS if mutant.visible(Problem.parse(problem))]

# Faults of inference that the order of the plain calls shows.
ORDERED = {"infer-of-last-forward", "infer-x-damaged"}
# A right kernel may refuse memory that is not contiguous.
REFUSING = {("strict", "input that is not contiguous")}
SMALL = ("6x5x3/channels-first/eps=0.001", "6x5x3/channels-first/float32/eps=0.001")
