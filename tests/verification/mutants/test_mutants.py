"""The seeded faults are faults, and show where they say so; the right kernels are right. All against scalar loops."""

import dataclasses
import re

import numpy as np
import pytest

from bncli.core.case import generator
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
from fault_probes import (
    EXTREMES,
    HIDDEN,
    ORDERED,
    PLAIN,
    PROBES,
    PROBLEMS,
    REFUSING,
    SMALL,
    VISIBLE,
    results_of,
    shows,
    takes,
    writable,
)


@pytest.fixture(scope="module")
def ordinary(make_case):
    """Data that meet none of what a mutant may need: x and gamma positive, the mean 4 deviations above 0."""

    def make(problem, mean=4.0, seed=0):
        case = make_case(problem, mean=mean, seed=seed)
        rng = generator(seed, "probe")
        features = case.problem.features
        return writable(case, gamma=np.abs(case.gamma), mean=rng.normal(size=features), var=rng.uniform(2, 3, features))

    return make


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


def slow_where_large(mutant):
    large = CaseLine.parse(mutant.case).problem.size > 1 << 17
    return pytest.param(mutant, marks=pytest.mark.slow if large else [], id=mutant.name)


@pytest.mark.parametrize("mutant", [slow_where_large(mutant) for mutant in HIDDEN])
def test_a_hidden_fault_shows_on_its_own_case_alone(ordinary, mutant):
    line = CaseLine.parse(mutant.case)
    assert trial.run(mutant.fresh(), line).verdict is Verdict.WRONG
    plain = next(kernel for kernel in RIGHT if trial.takes(kernel, line))
    right = dataclasses.replace(plain, dtypes=mutant.kernel.dtypes)
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


@pytest.mark.parametrize("mutant", PLAIN, ids=lambda mutant: mutant.name)
def test_a_fault_shows_where_it_is_visible_and_only_with_what_it_needs(ordinary, mutant):
    visible = {problem for each, problem in VISIBLE if each is mutant}
    plainly = {problem for problem in PROBLEMS if shows(mutant.kernel, ordinary(problem))}
    if mutant.needs:
        assert plainly == set()
        assert all(PROBES[mutant.needs](mutant.kernel, ordinary(problem)) for problem in visible)
    else:
        assert plainly == visible


def test_no_fault_depends_on_what_ran_before(ordinary):
    found = [[shows(mutant.fresh(), ordinary(PROBLEMS[0])) for mutant in MUTANTS] for _ in range(2)]
    assert found[0] == found[1]
    assert not any(shows(kernel, ordinary(PROBLEMS[0])) for kernel in RIGHT if "float64" in kernel.dtypes)


@pytest.mark.parametrize("kernel", RIGHT, ids=lambda kernel: kernel.name)
def test_right_kernels_equal_scalar_loops(ordinary, kernel):
    for problem in [*PROBLEMS, *EXTREMES]:
        for mean in (0.0, 4.0) if takes(kernel, problem) else ():
            assert not shows(kernel, ordinary(problem, mean=mean)), (problem, mean)


@pytest.mark.parametrize("kernel", RIGHT, ids=lambda kernel: kernel.name)
def test_right_kernels_behave(ordinary, kernel):
    case = ordinary(f"7x3x4x2/channels-first/{'float64' if 'float64' in kernel.dtypes else 'float32'}/eps=0.001")
    probes = dict(PROBES)
    if kernel.name == "bare":
        written_into = probes.pop("arrays to write into")
        with pytest.raises(TypeError, match="out"):
            written_into(kernel, case)
    refused = {needs for name, needs in REFUSING if name == kernel.name}
    assert {needs for needs, probe in probes.items() if probe(kernel, case)} == refused


def test_the_right_kernels_are_of_different_styles(ordinary):
    """Were two of them one function, they would agree to the last bit."""
    # Two others are the first, with parameters that may be None, and as a layer.
    different = [kernel for kernel in RIGHT if not kernel.optional and not kernel.layer]
    cases = {dtype: ordinary(f"7x3x4x2/channels-first/{dtype}/eps=0.001") for dtype in ("float32", "float64")}
    answers = {
        tuple(results_of(kernel, cases[dtype])["dx"].tobytes() for dtype in cases if dtype in kernel.dtypes)
        for kernel in RIGHT
    }
    assert len(answers) == len(different)
    bare = next(kernel for kernel in RIGHT if kernel.name == "bare")
    assert bare.infer is None
    case = cases["float32"]
    assert type(bare.forward(case.x, case.gamma, case.beta, 0.1)[1]) is tuple


def test_torch_that_is_not_installed_is_explained(monkeypatch):
    monkeypatch.setattr(torchcheck, "find_spec", lambda name: None)
    assert torchcheck.available() == "torch is not installed: install bncli[peers]"
