"""Slopes of forward judge each gradient, and say when they cannot."""

import dataclasses
import types

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.core.problem import Problem
from bncli.errors import InputError
from bncli.loading.registry import load_kernel
from bncli.verification import accuracy, contract, probes
from bncli.verification import gradcheck as reports
from bncli.verification import gradients as gradcheck
from bncli.verification.finding import Verdict
from faulty_kernels import (
    NUMPY,
    PROBLEMS,
    SAMPLES,
    WRONG_DX,
    of_dx,
    shown_soon,
    slow_unless,
    verdicts,
    with_dx,
    with_parameters,
)
from in_turn import in_turn


def test_directions_are_drawn_from_the_seed_and_the_features_are_evenly_spread(make_case, monkeypatch):
    seeds = []

    def directions(x_hat, seed, whole):
        seeds.append((seed, whole))
        return probes.directions(x_hat, seed, whole)

    monkeypatch.setattr(gradcheck, "probes", types.SimpleNamespace(directions=directions))
    for dtype in ("float64", "float32"):
        gradcheck.check(NUMPY, make_case(f"6x7/{dtype}"), seed=11)
    gradcheck.check(NUMPY, make_case("6x7"), seed=12, method=gradcheck.Method.DIRECTIONAL)
    gradcheck.check(NUMPY, make_case("6x7"), method=gradcheck.Method.CENTRAL)
    of_training_and_of_inference = 2
    assert seeds[::2] == seeds[1::2] == [(11, True), (11, True), (12, False), (0, True)]
    assert len(seeds) == 4 * of_training_and_of_inference
    for limit, features in ((70, range(7)), (30, [0, 3, 6]), (29, [0, 6]), (10, [0]), (3, [0])):
        monkeypatch.setattr(gradcheck, "DIFFERENTIATED", limit)
        np.testing.assert_array_equal(gradcheck.differentiated_features(Problem((10, 7))), features)


def test_each_gradient_is_compared_with_its_own_slope(make_case):
    found = gradcheck.check(NUMPY, make_case("6x7"), method=gradcheck.Method.DIRECTIONAL)
    assert [(f.array, f.method) for f in found] == [
        *((array, "reference") for array in ("y", "dx", "dgamma", "dbeta")),
        *(("dx", "directional"), ("dgamma", "central"), ("dbeta", "central")),
        *((array, "reference") for array in ("infer", *accuracy.GRADIENTS_OF_INFERENCE)),
        *zip(accuracy.GRADIENTS_OF_INFERENCE, ("directional", "central", "central"), strict=True),
        ("contract", f"{len(contract.CHECKS)} checks"),
    ]
    for array, fault in (
        ("dgamma", lambda dx, dg, db, dy, saved: (dx, 1.001 * dg, db)),
        ("dbeta", lambda dx, dg, db, dy, saved: (dx, dg, 1.001 * db)),
    ):
        found = gradcheck.check(with_parameters(fault), make_case("6x7"))
        wrong = {(f.array, f.method) for f in found if f.verdict is Verdict.WRONG}
        assert (
            {(array, "reference"), (array, "central")}
            <= wrong
            <= {
                *((array, method) for method in ("reference", "central")),
                ("contract", f"{len(contract.CHECKS)} checks"),
            }
        )


def test_few_samples_are_moved_one_by_one_and_many_by_sampling(make_case):
    few = of_dx(NUMPY, make_case("8x30"), "complex-step")
    assert (few.checked, few.total) == (240, 240)
    many = of_dx(NUMPY, make_case("1000x30"), "complex-step")
    assert (many.checked, many.total) == (8 * 30, 30_000)
    assert of_dx(NUMPY, make_case("1000x30")).checked == 30_000  # the reference sees all of them


def test_of_a_large_problem_some_features_are_differentiated(make_case, monkeypatch):
    monkeypatch.setattr(gradcheck, "DIFFERENTIATED", 300)
    case = make_case("10x100")

    def fault(dx, *_):
        dx[3, 99] *= 1.001  # the last feature is one of those
        return dx

    dx = of_dx(with_dx(fault), case, "complex-step")
    assert dx.verdict is Verdict.WRONG
    assert (dx.checked, dx.total) == (300, 1000)
    assert dx.index == (3, 99)
    assert dx.wrong_features == (99,)
    assert {f.verdict for f in gradcheck.check(NUMPY, case)} == {Verdict.PASS}


def test_one_complex_evaluation_a_sample_gives_the_whole_gradient(make_case):
    evaluations = []

    def forward(x, gamma, beta, epsilon):
        evaluations.append(np.iscomplexobj(x))
        return NUMPY.forward(x, gamma, beta, epsilon)

    counting = Kernel(forward, NUMPY.backward, name="counting")
    case = make_case("5x10x10x3")
    findings = gradcheck.check(counting, case)
    assert next(f for f in findings if f.method == "complex-step").checked == 1500
    # One for each sample, each of the four probes, and one to find out that complex x is taken.
    assert sum(evaluations) == 5 + 4 + 1
    evaluations.clear()
    gradcheck.check(counting, case, method=gradcheck.Method.CENTRAL)
    assert not any(evaluations)


def test_a_complex_step_is_exact_to_rounding(make_case):
    case = make_case("7x9")
    assert of_dx(NUMPY, case, "complex-step").error < 1e-14
    (central,) = (f for f in gradcheck.check(NUMPY, case, method=gradcheck.Method.CENTRAL) if f.method == "central"
                  and f.array == "dx")  # fmt: skip
    assert central.verdict is Verdict.PASS
    assert central.error < 1e-10


@pytest.mark.parametrize("forward", ["absolute", "real"])
def test_a_forward_that_is_not_analytic_is_differentiated_centrally(make_case, forward):
    # np.var of complex numbers takes absolute values, so that a complex step would be a wrong slope.
    def with_var(x, gamma, beta, epsilon):
        mean, var = x.mean(SAMPLES), x.var(SAMPLES)
        _, saved = NUMPY.forward(x.real.copy(), gamma, beta, epsilon)
        y = gamma[:, None] * (x - mean[:, None]) / np.sqrt(var + epsilon)[:, None] + beta[:, None]
        return (y.real.copy() if forward == "real" else y), saved

    kernel = Kernel(with_var, NUMPY.backward, name="textbook")
    case = make_case("6x7")
    assert of_dx(kernel, case, "central").verdict is Verdict.PASS
    with pytest.raises(InputError, match="no analytic function of complex x: use --method central"):
        gradcheck.check(kernel, case, method=gradcheck.Method.COMPLEX_STEP)


@pytest.mark.parametrize(("fault", "problem"), slow_unless(shown_soon, in_turn(WRONG_DX, PROBLEMS)))
def test_directional_probes_alone_see_every_fault(make_case, fault, problem):
    kernel, case = with_dx(WRONG_DX[fault]), make_case(problem)
    found = gradcheck.check(kernel, case, method=gradcheck.Method.DIRECTIONAL)
    assert next(f for f in found if f.method == "directional").verdict is Verdict.WRONG
    right = gradcheck.check(NUMPY, case, method=gradcheck.Method.DIRECTIONAL)
    assert {f.verdict for f in right} == {Verdict.PASS}


def test_slopes_are_not_taken_of_float32(make_case):
    with pytest.raises(InputError, match="prove nothing in float32: use float64"):
        gradcheck.check(NUMPY, make_case("6x7/float32"), method=gradcheck.Method.CENTRAL)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_a_half_precision_kernel_is_judged_by_the_reference(make_case, name):
    pytest.importorskip("ml_dtypes", reason="NumPy has bfloat16 from ml_dtypes")
    case = make_case(f"6x7x5x5/channels-first/{name}/eps=0.001", mean=0.1)
    right = load_kernel("reference")
    assert set(verdicts(right, case).values()) == {Verdict.PASS}

    def backward(dy, saved):
        dx, dgamma, dbeta = right.backward(dy, saved)
        return (-dx), dgamma, dbeta

    assert verdicts(Kernel(right.forward, backward, dtypes=(name,), name="reversed"), case)["dx"] is Verdict.WRONG


def test_a_kernel_that_raises_is_wrong(make_case):
    def backward(dy, saved):
        raise ZeroDivisionError("nothing there")

    found = gradcheck.check(Kernel(NUMPY.forward, backward, name="faulty"), make_case("6x7"))
    assert {f.verdict for f in found} == {Verdict.WRONG}
    first, last = found
    assert "backward raised ZeroDivisionError: nothing there" in first.reason
    assert (first.kernel, first.array, first.method) == ("faulty", "call", "")
    assert (first.error, first.budget, last.array) == (np.inf, 0, "contract")


def test_what_has_no_finite_element_is_undecided(make_case):
    case = make_case("6x3")
    nothing = dataclasses.replace(case, x=np.full_like(case.x, np.nan))
    y, _ = NUMPY.forward(nothing.x, case.gamma, case.beta, case.problem.epsilon)
    (finding,) = accuracy.judge(NUMPY, nothing, {"y": y})
    assert (finding.verdict, finding.checked, finding.total) == (Verdict.UNDECIDED, 0, 18)
    assert finding.reason == "no element is expected to be finite"


def test_a_gradient_of_another_function_is_named_with_the_reference(make_case):
    # Right by the reference on this case, as a kernel that knows the answer would be; not by its slopes.
    case = make_case("6x7")
    right = NUMPY.forward(case.x, case.gamma, case.beta, case.problem.epsilon)[0]

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return (y if np.array_equal(x, case.x) else right + 2 * (y - right)), saved

    report = reports.report([case], [Kernel(forward, NUMPY.backward, name="double")], gradcheck.Method.CENTRAL)
    notes = {(row["array"], row["method"]): row["note"] for row in report.rows}
    assert notes["dx", "reference"] == ""
    assert notes["dx", "central"].startswith("double: dx is not the derivative of the forward pass: at (")


def test_a_chosen_method_is_in_the_line_that_shows_it_again(make_case):
    report = reports.report([make_case("5x4x4x3")], [load_kernel("numpynet")], gradcheck.Method.CENTRAL)
    [reproduce] = {row["reproduce"] for row in report.rows if row["verdict"] == "WRONG"}
    assert "--kernel numpynet" in reproduce
    assert reproduce.endswith("--method central")
