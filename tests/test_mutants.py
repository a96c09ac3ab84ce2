"""The seeded faults are faults, and show where they say so; the right kernels are right. All against scalar loops."""

import dataclasses
import re

import numpy as np
import pytest

import naive
from bncli.core.case import generator
from bncli.core.kernel import Gradients
from bncli.core.problem import Problem
from bncli.verification import torchcheck
from bncli.verification._mutants import (
    call_history_faults,
    chance_faults,
    inference_faults,
    memory_layout_faults,
    shape_faults,
    type_faults,
    value_faults,
)
from bncli.verification.finding import Verdict
from bncli.verification.mutants import MUTANTS, RIGHT
from bncli.verification.search import trial
from bncli.verification.search.case_line import CaseLine

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


@pytest.fixture(scope="module")
def ordinary(make_case):
    """Data that meet none of what a mutant may need: x and gamma positive, the mean 4 deviations above 0."""

    def make(problem, mean=4.0, seed=0):
        case = make_case(problem, mean=mean, seed=seed)
        rng = generator(seed, "probe")
        features = case.problem.features
        return writable(case, gamma=np.abs(case.gamma), mean=rng.normal(size=features), var=rng.uniform(2, 3, features))

    return make


def writable(case, **changes):
    arrays = {name: getattr(case, name).copy() for name in ARRAYS}
    return dataclasses.replace(case, **arrays | changes)


def expected_of(case):
    """All that a kernel can be asked for, by scalar loops; canonical, float64."""
    own, problem = case.problem.own, case.problem
    arguments = problem.epsilon, str(problem.layout)
    found = naive.batchnorm(own(case.x), case.gamma, case.beta, own(case.dy), *arguments)
    found["inv_std"] = 1 / np.sqrt(found["var"] + problem.epsilon)
    found["inferred"] = naive.infer(own(case.x), case.gamma, case.beta, case.mean, case.var, *arguments)
    return {name: problem.canonical(array) if array.ndim > 1 else array for name, array in found.items()}


def results_of(kernel, case):
    found, epsilon = {}, case.problem.epsilon
    if kernel.infer:
        found["inferred"] = kernel.infer(case.x, case.gamma, case.beta, case.mean, case.var, epsilon)
    found["y"], saved = kernel.forward(case.x, case.gamma, case.beta, epsilon)
    found["dx"], found["dgamma"], found["dbeta"] = kernel.backward(case.dy, saved)
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
}

HIDDEN = [mutant for mutant in MUTANTS if mutant.case]
PLAIN = [mutant for mutant in MUTANTS if not mutant.case]
PAIRS = [(mutant, problem) for mutant in PLAIN for problem in PROBLEMS]
VISIBLE = [(mutant, problem) for mutant, problem in PAIRS if mutant.visible(Problem.parse(problem))]


# Faults of inference that the order of the plain calls shows.
ORDERED = {"infer-of-last-forward", "infer-x-damaged"}
# A right kernel may refuse memory that is not contiguous.
REFUSING = {("strict", "input that is not contiguous")}
SMALL = ("6x5x3/channels-first/eps=0.001", "6x5x3/channels-first/float32/eps=0.001")


def named(pairs):
    return [pytest.param(kernel, problem, id=f"{kernel.name}-{problem}") for kernel, problem in pairs]


def test_there_are_enough_faults_and_each_has_a_name_and_a_phrase():
    assert len(MUTANTS) >= 150
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    for mutant in MUTANTS:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", mutant.name)
        assert mutant.kernel.name == mutant.name
        assert mutant.kernel.summary == mutant.about
        assert mutant.about
        assert not mutant.about.endswith(".")
    assert {mutant.needs for mutant in PLAIN} == {"", *PROBES}
    assert {mutant.needs for mutant in HIDDEN} == {"a case of its own"}
    right = [kernel.name for kernel in RIGHT]
    assert len(set(right)) == len(right) >= 20
    assert not set(right) & set(names)


def test_every_fault_is_visible_on_some_problem():
    assert {mutant.name for mutant, _ in VISIBLE} == {mutant.name for mutant in PLAIN}


@pytest.mark.parametrize("mutant", HIDDEN, ids=lambda mutant: mutant.name)
def test_a_hidden_fault_shows_on_its_own_case_alone(ordinary, mutant):
    line = CaseLine.parse(mutant.case)
    assert trial.run(mutant.fresh(), line).verdict is Verdict.WRONG
    right = dataclasses.replace(RIGHT[0], dtypes=mutant.kernel.dtypes)
    assert trial.run(right, line).verdict is Verdict.PASS
    if mutant.name not in ORDERED:
        assert not any(shows(mutant.fresh(), ordinary(problem)) for problem in SMALL)


def test_the_kinds_of_hidden_faults_are_all_there():
    groups = (shape_faults, memory_layout_faults, call_history_faults, value_faults, type_faults, inference_faults)
    for group in groups:
        assert sum(bool(mutant.case) for mutant in group.MUTANTS) >= 5, group.__name__
    assert 3 <= len(chance_faults.MUTANTS) <= 6
    cases = [CaseLine.parse(mutant.case) for mutant in HIDDEN]
    assert {case.problem.dtype for case in cases} == {"float16", "float32", "float64"}
    assert max(case.problem.samples for case in cases) > 32767
    assert max(case.problem.features for case in cases) > 65535
    for name in ("data", "gamma", "beta", "dy", "memory", "history"):
        assert len({getattr(case, name) for case in cases}) >= 2, name


def test_a_fresh_kernel_has_forgotten_what_was_called_before():
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "narrowest-type")
    x, ones = np.linspace(1, 2, 12).reshape(4, 3, 1), np.ones(3)
    kernel = mutant.fresh()
    exact = kernel.forward(x, ones, ones, 1e-5)[0]
    kernel.forward(x.astype(np.float32), ones.astype(np.float32), ones.astype(np.float32), 1e-5)
    assert not np.array_equal(kernel.forward(x, ones, ones, 1e-5)[0], exact)
    assert np.array_equal(mutant.fresh().forward(x, ones, ones, 1e-5)[0], exact)
    assert (mutant.fresh().name, mutant.fresh().summary) == (mutant.name, mutant.about)


@pytest.mark.parametrize(("mutant", "problem"), named(VISIBLE))
def test_a_fault_shows_where_it_is_visible(ordinary, mutant, problem):
    probe = PROBES[mutant.needs] if mutant.needs else shows
    assert probe(mutant.kernel, ordinary(problem))


@pytest.mark.parametrize(("mutant", "problem"), named((m, p) for m, p in PAIRS if m.needs or (m, p) not in VISIBLE))
def test_a_fault_shows_only_with_what_it_needs_and_where_it_is_visible(ordinary, mutant, problem):
    assert not shows(mutant.kernel, ordinary(problem))


def test_no_fault_depends_on_what_ran_before(ordinary):
    found = [[shows(mutant.fresh(), ordinary(PROBLEMS[0])) for mutant in MUTANTS] for _ in range(3)]
    assert found[0] == found[1] == found[2]
    assert not any(shows(kernel, ordinary(PROBLEMS[0])) for kernel in RIGHT if "float64" in kernel.dtypes)


@pytest.mark.parametrize("mean", [0.0, 4.0])
@pytest.mark.parametrize(
    ("kernel", "problem"), named((k, p) for k in RIGHT for p in [*PROBLEMS, *EXTREMES] if takes(k, p))
)
def test_right_kernels_equal_scalar_loops(ordinary, kernel, problem, mean):
    for seed in range(3):
        assert not shows(kernel, ordinary(problem, mean=mean, seed=seed))


@pytest.mark.parametrize("needs", PROBES)
@pytest.mark.parametrize("kernel", RIGHT, ids=lambda kernel: kernel.name)
def test_right_kernels_behave(ordinary, kernel, needs):
    dtype = "float64" if "float64" in kernel.dtypes else "float32"
    case = ordinary(f"7x3x4x2/channels-first/{dtype}/eps=0.001")
    if (kernel.name, needs) == ("bare", "arrays to write into"):
        with pytest.raises(TypeError, match="out"):
            PROBES[needs](kernel, case)
    else:
        assert PROBES[needs](kernel, case) is ((kernel.name, needs) in REFUSING)


def test_the_right_kernels_are_of_different_styles(ordinary):
    """Were two of them one function, they would agree to the last bit."""
    cases = {dtype: ordinary(f"7x3x4x2/channels-first/{dtype}/eps=0.001") for dtype in ("float32", "float64")}
    answers = {
        tuple(results_of(kernel, cases[dtype])["dx"].tobytes() for dtype in cases if dtype in kernel.dtypes)
        for kernel in RIGHT
    }
    assert len(answers) == len(RIGHT)
    bare = next(kernel for kernel in RIGHT if kernel.name == "bare")
    assert bare.infer is None
    case = cases["float32"]
    assert type(bare.forward(case.x, case.gamma, case.beta, 0.1)[1]) is tuple


def test_torch_that_is_not_installed_is_explained(monkeypatch):
    monkeypatch.setattr(torchcheck, "find_spec", lambda name: None)
    assert torchcheck.available() == "torch is not installed: install bncli[peers]"
