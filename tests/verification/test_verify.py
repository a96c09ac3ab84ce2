"""verify: invariants, scenarios, the curve; and the reports that programs call."""

import dataclasses
import types

import numpy as np
import pytest

import bncli
from bncli.core.kernel import IsolatedKernel, Kernel
from bncli.core.problem import Problem
from bncli.errors import CheckFailed, InputError, KernelLost
from bncli.loading.guard import guarded
from bncli.loading.registry import kernel_names, load_kernel, registered_kernel
from bncli.verification import accuracy, curve, invariants, suite
from bncli.verification.finding import Verdict
from bncli.verification.mutants import MUTANTS, RIGHT
from bncli.verification.verify import curve_report, default_problems
from in_turn import in_turn

NUMPY = load_kernel("numpy")
NEEDY = ("numba", "dask")  # which cannot run everywhere
OWN = ["numpy", "reference", *(name for name in NEEDY if registered_kernel(name).available() is None)]
# numba has another engine for each kind of shape that verify asks for, which takes long to compile.
EACH_OF_OWN = [pytest.param(name, marks=pytest.mark.slow) if name in NEEDY else name for name in OWN]
MUTANT = {mutant.name: mutant.kernel for mutant in MUTANTS}


# Invariants.


BATCHES = ["12x6", "5x4x6x7/channels-first/float32", "300x3/channels-last", "2x5"]


@pytest.mark.parametrize("problem", BATCHES)
@pytest.mark.parametrize("name", EACH_OF_OWN)
def test_invariants_hold_of_our_own_kernels(make_case, name, problem):
    for seed in range(3):
        for finding in invariants.check(load_kernel(name), make_case(problem, seed=seed)):
            assert finding.verdict is Verdict.PASS, finding


@pytest.mark.parametrize(
    ("kernel", "problem"), in_turn(RIGHT, BATCHES), ids=lambda value: getattr(value, "name", value)
)
def test_invariants_hold_of_right_kernels(make_case, kernel, problem):
    if Problem.parse(problem).dtype not in kernel.dtypes:
        problem += "/float32"
    for finding in invariants.check(kernel, make_case(problem)):
        assert finding.verdict is Verdict.PASS, finding


@pytest.mark.parametrize(
    ("invariant", "mutant"),
    [
        ("shift", "dgamma-from-x"),
        ("scale", "epsilon-hard-coded"),
        ("permutation", "element-off"),
        ("sum-dx", "mean-term-off"),
        ("sum-dx-x_hat", "x-hat-term-off"),
    ],
)
def test_each_invariant_sees_a_fault(make_case, invariant, mutant):
    case = make_case("12x6/eps=0.001")
    found = {finding.method: finding.verdict for finding in invariants.check(MUTANT[mutant], case)}
    assert found[invariant] is Verdict.WRONG
    assert set(found) == set(invariants.INVARIANTS)


def test_linearity_sees_a_square(make_case):
    def backward(dy, saved):
        dx, dgamma, dbeta = NUMPY.backward(dy, saved)
        return dx + dx * dx, dgamma, dbeta

    found = {f.method: f.verdict for f in invariants.check(Kernel(NUMPY.forward, backward), make_case("12x6"))}
    assert found["linearity"] is Verdict.WRONG


def test_invariants_say_where_they_apply(make_case):
    assert invariants.suits(make_case("12x6"))
    assert not invariants.suits(make_case("1x6"))
    assert not invariants.suits(make_case("12x6", mean=1e4))
    assert not invariants.suits(make_case("12x6", std=1e-6))


@pytest.mark.parametrize("problem", ["1x8", "2x3000/float32"])
def test_no_invariant_is_asked_of_a_feature_that_is_constant(make_case, problem):
    findings = invariants.check(load_kernel("reference"), make_case(problem))
    assert [finding for finding in findings if finding.verdict is not Verdict.PASS] == []
    assert bool(findings) is (problem != "1x8")


# Scenarios.


@pytest.mark.parametrize("name", EACH_OF_OWN)
def test_our_own_kernels_pass_everything(name):
    report = bncli.verify(name)
    assert report.failures == []
    assert {row["verdict"] for row in report.rows} == {"PASS"}
    checks = {row["check"] for row in report.rows}
    assert {"offset-1e6", "huge", "tiny", "nan", "1 sample", "epsilon 0", "shift", "contract"} <= checks
    assert {row["dtype"] for row in report.rows} == {"float32", "float64"}
    report.raise_if_failed()


def test_a_single_feature_is_not_poisoned():
    assert bncli.verify("numpy", ["6x1"]).failures == []


def test_a_problem_of_one_sample_has_something_to_judge():
    assert bncli.verify("reference", ["1x8"], random=["normal"]).failures == []


def test_a_degenerate_problem_may_be_refused_and_no_other(make_case):
    def forward(x, gamma, beta, epsilon):
        if x.shape[0] * x.shape[2] == 1 or not epsilon:
            raise ValueError("no")
        return NUMPY.forward(x, gamma, beta, epsilon)

    kernel = Kernel(forward, NUMPY.backward, name="strict")
    report = bncli.verify(kernel, ["6x5"])
    rows = {row["check"]: row for row in report.rows}
    for check in ("1 sample", "epsilon 0"):
        assert (rows[check]["verdict"], rows[check]["array"]) == ("REFUSED", "refused")
    assert report.failures == []

    def never(x, gamma, beta, epsilon):
        raise ValueError("never")

    report = bncli.verify(Kernel(never, NUMPY.backward, name="stubborn"), ["6x5"], random=["normal"])
    wrong = {row["check"] for row in report.rows if row["verdict"] == "WRONG"}
    assert wrong >= {"normal", "2 samples", "epsilon 1", "shift", "contract"}


def test_a_lost_process_is_wrong_in_every_check_that_was_asked_for(make_case):
    def lose(name, job, arguments, longer=0.0, each_call=False):
        if job is suite._invariants:
            raise KernelLost(f"kernel {name!r}: it ended its process, with status 3")
        return job(NUMPY, *arguments)

    process = types.SimpleNamespace(options=("--isolate",), run=lose)
    apart = IsolatedKernel("apart", "", "", NUMPY.dtypes, "", has_infer=True, set_threads=None, process=process)
    case = make_case("12x6")
    assert {
        each.finding.verdict for each in suite.on_data(apart, suite.scenarios(["normal"], case.problem)[0], case)
    } == {Verdict.PASS}
    [lost] = suite.behaviour(apart, case)
    assert (lost.finding.verdict, lost.finding.reason) == (
        Verdict.WRONG,
        "kernel 'apart': it ended its process, with status 3",
    )


def test_nan_in_one_feature_must_not_reach_the_others():
    report = bncli.verify(MUTANT["nan-spreads"], ["9x8"], random=["nan"])
    assert {row["verdict"] for row in report.rows if row["check"] == "nan"} == {"WRONG"}


def test_digits_lost_to_a_rounded_mean_are_said(make_case):
    # A kernel whose statistics are float32 keeps its budget at mean / std = 1e6, and next to no digit.
    textbook = next(kernel for kernel in RIGHT if kernel.name == "textbook")
    report = bncli.verify(textbook, ["64x30/float32/eps=1e-05"], random=["offset-1e6"])
    row = next(row for row in report.rows if row["check"] == "offset-1e6")
    assert row["verdict"] == "INEXACT"
    report.raise_if_failed()
    assert row["share"] < 1
    assert row["digits"] < 2


@pytest.mark.parametrize("name", EACH_OF_OWN)
def test_digits_are_kept_where_the_mean_is_not_rounded(name):
    own = bncli.verify(name, ["64x30/float32/eps=1e-05"], random=["offset-1e6"])
    assert next(row for row in own.rows if row["check"] == "offset-1e6")["digits"] > 6


def test_data_on_a_coarse_grid_are_no_false_alarm(make_case):
    # The roundings of a running sum of such data are not independent, and all point one way.
    einsum = next(kernel for kernel in RIGHT if kernel.name == "einsum")
    for seed in range(5):
        case = make_case("3000x4", mean=-3.7, std=0.05, seed=seed)
        case = dataclasses.replace(case, x=np.round(case.x * 256) / 256)
        assert {finding.verdict for finding in accuracy.check(einsum, case)} == {Verdict.PASS}


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_constant_features_are_no_false_alarm(dtype):
    for kernel in [kernel for kernel in RIGHT if dtype in kernel.dtypes]:
        report = bncli.verify(kernel, [f"500x6/{dtype}/eps=1e-05"], random=["constant"])
        assert {row["verdict"] for row in report.rows} == {"PASS"}, kernel.name


def test_inference_is_judged_with_statistics_that_are_not_the_batchs(make_case):
    for problem in ("12x6", "1x6", "7x3x4x4/channels-first/float32"):
        assert {f.verdict for f in accuracy.check_inference(NUMPY, make_case(problem))} == {Verdict.PASS}
        for name in ("infer-from-batch", "infer-from-variance"):
            (finding,) = accuracy.check_inference(MUTANT[name], make_case(problem))
            assert finding.verdict is Verdict.WRONG
    assert accuracy.check_inference(load_kernel("numpynet"), make_case("12x6")) == []


def test_statistics_are_taken_for_what_they_are_only_if_they_are_arrays(make_case):
    case = make_case("6x5")
    assert accuracy.statistics(np.zeros(5), case) == {}  # an array's own mean is a method
    saved = types.SimpleNamespace(mean=np.zeros((5, 1)), inv_std=2.0)
    assert list(accuracy.statistics(saved, case)) == ["mean"]


# The curve.


def test_the_curve_shows_where_a_kernel_breaks_down(make_case):
    case = make_case("64x20/float32/eps=1e-05")
    exact = curve.curve(load_kernel("numba"), case)
    naive = curve.curve(guarded(MUTANT["variance-by-difference"]), case)
    assert [point.ratio for point in exact] == [10.0**k for k in range(9)]
    assert curve.breakdown(exact[:8]) is None
    assert max(point.worst for point in exact[:8]) < 1e-5
    assert curve.breakdown(curve.curve(MUTANT["dx-zero"], case)) == 1.0
    textbook = next(kernel for kernel in RIGHT if kernel.name == "textbook")
    assert 1e4 <= curve.breakdown(curve.curve(textbook, case)) <= 1e6
    assert curve.breakdown(naive) is None or curve.breakdown(naive) > 1


def test_a_kernel_without_a_curve_is_a_failure_and_the_others_have_theirs():
    def forward(x, gamma, beta, epsilon):
        if np.abs(x).max() > 1e3:
            raise OverflowError("too far")
        return NUMPY.forward(x, gamma, beta, epsilon)

    problem = Problem.parse("16x5/float32")
    report = curve_report([problem], [guarded(Kernel(forward, NUMPY.backward, name="short")), NUMPY], 0)
    assert [failure.partition(" (")[0] for failure in report.failures] == [
        "kernel 'short': forward raised OverflowError: too far"
    ]
    assert [row["kernel"] for row in report.rows] == ["numpy"] * 9


def test_the_offset_is_the_asked_ratio(make_case):
    moved = curve.offset(make_case("200x3"), 1e3)
    np.testing.assert_allclose(moved.x.mean((0, 2)) / moved.x.std((0, 2)), 1e3)


# What a program calls.


def test_gradcheck_as_a_function():
    report = bncli.gradcheck("numpy")
    report.raise_if_failed()
    assert {row["verdict"] for row in report.rows} == {"PASS"}
    assert {row["method"] for row in report.rows} >= {"reference", "complex-step", "central"}
    failed = bncli.gradcheck("numpynet", "5x4x4x3", seed=3)
    with pytest.raises(CheckFailed, match="numpynet: dx is WRONG"):
        failed.raise_if_failed()
    dx = next(row for row in failed.rows if row["array"] == "dx")
    assert any("1 / prod(mean.shape)" in sentence for sentence in dx["diagnosis"])
    assert dx["reproduce"] == (
        "reproduce: bncli gradcheck --kernel numpynet --shape 5x4x4x3/per-activation/float64/eps=1e-08 "
        "--random normal --seed 3"
    )


def test_a_kernel_may_be_an_object_or_a_module():
    assert bncli.gradcheck(bncli.Kernel(NUMPY.forward, NUMPY.backward)).failures == []
    module = types.ModuleType("mine")
    module.forward, module.backward = MUTANT["dx-zero"].forward, MUTANT["dx-zero"].backward
    report = bncli.gradcheck(module)
    assert report.failures
    assert {row["kernel"] for row in report.rows} == {"mine"}
    assert all(row["reproduce"] == "" for row in report.rows)  # no command line could name it
    with pytest.raises(InputError):
        bncli.gradcheck("numpy", "5y4")


def test_default_problems_are_in_dtypes_that_the_kernels_take():
    half = Kernel(NUMPY.forward, NUMPY.backward, dtypes=("float16",))
    assert {problem.dtype for problem in default_problems([half])} == {"float16"}
    assert {problem.dtype for problem in default_problems([NUMPY], ["float32"])} == {"float32"}
    assert len(default_problems([NUMPY])) == 6


def test_every_registered_kernel_but_the_specimen_is_among_those_tested():
    assert {*OWN, *NEEDY} == set(kernel_names()) - {"numpynet", "torch", "onednn", "inductor", "jax"}
