"""The checker itself: it rejects what is wrong, passes what is right, and never passes what shows nothing."""

import dataclasses
import types

import numpy as np
import pytest

from bncli.core.kernel import Gradients, Kernel
from bncli.core.problem import Problem
from bncli.errors import InputError
from bncli.loading.registry import load_kernel
from bncli.verification import accuracy, contract, probes, tolerance
from bncli.verification import gradcheck as reports
from bncli.verification import gradients as gradcheck
from bncli.verification.finding import Finding, Verdict, worst

NUMPY = load_kernel("numpy")
SAMPLES = (0, 2)
SEVERITY = list(Verdict)
PROBLEMS = ["5x4x4x3", "12x3x4x5/channels-first", "4x5x6x3/channels-last", "2048x64", "128x16", "7x9/eps=1.0"]


def with_dx(fault):
    """The NumPy kernel with a fault in dx: fault(terms) -> dx, from the three terms and what made them."""

    def backward(dy, saved):
        gradients = NUMPY.backward(dy, saved)
        x_hat = (saved.x - saved.mean[:, None]) * saved.inv_std[:, None]
        scale = (saved.gamma * saved.inv_std)[:, None]
        mean_dy = dy.mean(SAMPLES)[:, None]
        slope = x_hat * (dy * x_hat).mean(SAMPLES)[:, None]
        return fault(gradients[0].copy(), dy, scale, mean_dy, slope), gradients[1], gradients[2]

    return Kernel(NUMPY.forward, backward, name="faulty")


def with_y(fault):
    """A kernel with the right gradients of another function than batch norm."""

    def forward(x, gamma, beta, epsilon):
        return fault(x, gamma, beta, epsilon), NUMPY.forward(x, gamma, beta, epsilon)[1]

    return Kernel(forward, NUMPY.backward, name="faulty")


def with_parameters(fault):
    def backward(dy, saved):
        return fault(*NUMPY.backward(dy, saved), dy, saved)

    return Kernel(NUMPY.forward, backward, name="faulty")


def one_element(dx, *_):
    dx.flat[dx.size // 3] *= 1.001
    return dx


def one_feature(dx, *_):
    dx[:, dx.shape[1] // 2] *= 1.001
    return dx


WRONG_DX = {
    "zero": lambda dx, dy, scale, mean_dy, slope: np.zeros_like(dx),
    "no mean term": lambda dx, dy, scale, mean_dy, slope: scale * (dy - slope),
    "no x_hat term": lambda dx, dy, scale, mean_dy, slope: scale * (dy - mean_dy),
    "frozen statistics": lambda dx, dy, scale, mean_dy, slope: scale * dy,
    "x_hat term off by 0.1 %": lambda dx, dy, scale, mean_dy, slope: scale * (dy - mean_dy - 1.001 * slope),
    "mean term off by 0.1 %": lambda dx, dy, scale, mean_dy, slope: scale * (dy - 1.001 * mean_dy - slope),
    "sign of the mean term": lambda dx, dy, scale, mean_dy, slope: scale * (dy + mean_dy - slope),
    "overall 0.1 %": lambda dx, dy, scale, mean_dy, slope: 1.001 * dx,
    "no gamma": lambda dx, dy, scale, mean_dy, slope: np.abs(dx),
    "leak between features": lambda dx, dy, scale, mean_dy, slope: dx + 1e-3 * np.roll(dx, 1, axis=1),
    "NaN": lambda dx, dy, scale, mean_dy, slope: np.full_like(dx, np.nan),
    "one element 0.1 % off": one_element,
    "one feature 0.1 % off": one_feature,
}

WRONG_Y = {
    "unbiased variance": lambda x, g, b, e: (
        g[:, None] * (x - x.mean(SAMPLES)[:, None]) / np.sqrt(x.var(SAMPLES, ddof=1) + e)[:, None] + b[:, None]
    ),
    "epsilon outside the root": lambda x, g, b, e: (
        g[:, None] * (x - x.mean(SAMPLES)[:, None]) / (x.std(SAMPLES) + np.sqrt(e))[:, None] + b[:, None]
    ),
    "squared numerator": lambda x, g, b, e: (
        g[:, None] * (x - x.mean(SAMPLES)[:, None]) ** 2 / np.sqrt(x.var(SAMPLES) + e)[:, None] + b[:, None]
    ),
    "no beta": lambda x, g, b, e: NUMPY.forward(x, g, 0 * b, e)[0],
}

WRONG_PARAMETERS = {
    "dgamma averaged": (lambda dx, dg, db, dy, saved: (dx, dg / dy.shape[0], db), "dgamma"),
    "dbeta averaged": (lambda dx, dg, db, dy, saved: (dx, dg, db / dy.shape[0]), "dbeta"),
    "swapped": (lambda dx, dg, db, dy, saved: (dx, db, dg), "dgamma"),
    "dgamma from x": (lambda dx, dg, db, dy, saved: (dx, (dy * saved.x).sum(SAMPLES), db), "dgamma"),
}


def verdicts(kernel, case):
    """The worse of what the reference and the slopes say of each array; the contract is test_contract's."""
    return verdicts_of(gradcheck.check(kernel, case))


def verdicts_of(findings):
    found = {}
    for finding in findings:
        if finding.array != contract.ARRAY:
            found[finding.array] = max(found.get(finding.array, Verdict.PASS), finding.verdict, key=SEVERITY.index)
    return found


def of_dx(kernel, case, method="reference"):
    return next(f for f in gradcheck.check(kernel, case) if f.array == "dx" and f.method == method)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", ["numpy", "numba", "reference"])
def test_right_kernels_pass(make_case, name, problem):
    for seed in range(3):
        assert set(verdicts(load_kernel(name), make_case(problem, seed=seed)).values()) == {Verdict.PASS}


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("std", [1e-3, 1.0, 1e5])
def test_right_kernel_passes_on_hard_data(make_case, mean, std):
    assert set(verdicts(NUMPY, make_case("9x5", mean=mean * std, std=std)).values()) == {Verdict.PASS}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("fault", WRONG_DX)
def test_wrong_dx_is_rejected(make_case, fault, problem):
    found = verdicts(with_dx(WRONG_DX[fault]), make_case(problem))
    assert found == {"y": Verdict.PASS, "dx": Verdict.WRONG, "dgamma": Verdict.PASS, "dbeta": Verdict.PASS}


@pytest.mark.parametrize("problem", ["5x4x4x3/float32", "2048x64/float32", "12x3x4x5/channels-first/float32"])
@pytest.mark.parametrize("fault", WRONG_DX)
def test_wrong_dx_is_rejected_in_float32(make_case, fault, problem):
    case = make_case(problem)
    found = {finding.array: finding for finding in gradcheck.check(with_dx(WRONG_DX[fault]), case)}
    assert found["dx"].verdict is Verdict.WRONG
    assert found["dx"].method == "reference"  # finite differences of float32 prove nothing


@pytest.mark.parametrize("problem", ["5x4x4x3/eps=0.001", "12x3x4x5/channels-first/eps=0.001"])
@pytest.mark.parametrize("fault", WRONG_Y)
def test_a_function_that_is_not_batch_norm_is_rejected(make_case, fault, problem):
    assert verdicts(with_y(WRONG_Y[fault]), make_case(problem))["y"] is Verdict.WRONG


@pytest.mark.parametrize("fault", WRONG_PARAMETERS)
def test_wrong_parameter_gradients_are_rejected(make_case, fault):
    function, array = WRONG_PARAMETERS[fault]
    found = verdicts(with_parameters(function), make_case("5x4x4x3"))
    assert found[array] is Verdict.WRONG
    assert found["dx"] is Verdict.PASS


def test_the_published_listing_is_rejected(make_case):
    case = make_case("5x4x4x3")
    for method in ("reference", "central"):
        dx = of_dx(load_kernel("numpynet"), case, method)
        assert dx.verdict is Verdict.WRONG
        assert dx.error > 0.1
        assert dx.checked == dx.total == case.x.size


def test_the_worst_element_is_named(make_case):
    case = make_case("5x4x4x3")
    right = NUMPY.backward(case.dy, NUMPY.forward(case.x, case.gamma, case.beta, case.problem.epsilon)[1])[0]

    def fault(dx, *_):
        dx[3, 17, 0] += 1
        return dx

    for method in ("reference", "complex-step"):
        dx = of_dx(with_dx(fault), case, method)
        assert dx.index == (3, *(int(i) for i in np.unravel_index(17, (4, 4, 3))))
        assert dx.actual == right[3, 17, 0] + 1
        assert dx.expected == pytest.approx(right[3, 17, 0])
        assert dx.wrong_features == (17,)


def test_features_that_interact_are_seen(make_case):
    # A mean over the features as well: a perturbation of one sample in all features alike hides it.
    def forward(x, gamma, beta, epsilon):
        return NUMPY.forward(x - x.mean(1, keepdims=True), gamma, beta, epsilon)

    def backward(dy, saved):
        return NUMPY.backward(dy, saved)

    found = verdicts(Kernel(forward, backward, name="layer norm"), make_case("7x9"))
    assert found["dx"] is Verdict.WRONG


@pytest.mark.parametrize("dy", ["ones", "x_hat"])
def test_a_gradient_that_batch_norm_annihilates_is_undecided(make_case, dy):
    # dx is 0 for these, and a kernel that returns zeros would pass: that is no check.
    case = make_case("50x9/eps=0.0")
    x_hat = (case.x - case.x.mean(SAMPLES)[:, None]) / case.x.std(SAMPLES)[:, None]
    case = dataclasses.replace(case, dy=np.ones_like(x_hat) if dy == "ones" else x_hat)
    for kernel in (NUMPY, with_dx(WRONG_DX["zero"])):
        assert verdicts(kernel, case)["dx"] is Verdict.UNDECIDED
        assert "too small" in of_dx(kernel, case, "complex-step").reason


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("span", "term"), [("ones", "mean"), ("x_hat", "x_hat")])
def test_a_dy_that_hides_one_term_is_undecided(make_case, span, term, dtype):
    # dx itself is well visible, but who forgets that term is right here.
    case = make_case(f"50x9/{dtype}")
    x_hat = (case.x - case.x.mean(SAMPLES)[:, None]) / case.x.std(SAMPLES)[:, None]
    along = np.ones_like(x_hat) if span == "ones" else x_hat
    dy = case.dy.astype(np.float64)
    dy -= along * ((dy * along).mean(SAMPLES) / (along * along).mean(SAMPLES))[:, None]
    dy -= along * ((dy * along).mean(SAMPLES) / (along * along).mean(SAMPLES))[:, None]
    case = dataclasses.replace(case, dy=dy.astype(dtype))
    if dtype == "float64":
        assert f"the {term} term of dx vanish" in of_dx(NUMPY, case, "complex-step").reason
    assert verdicts(NUMPY, case)["dx"] is Verdict.UNDECIDED


def test_both_terms_that_a_dy_hides_are_named(make_case):
    case = make_case("50x9")
    x_hat = (case.x - case.x.mean(SAMPLES)[:, None]) / case.x.std(SAMPLES)[:, None]
    dy = case.dy.copy()
    for _ in range(2):
        dy -= dy.mean(SAMPLES)[:, None]
        dy -= x_hat * (dy * x_hat).mean(SAMPLES)[:, None]
    dx = of_dx(NUMPY, dataclasses.replace(case, dy=dy), "complex-step")
    assert dx.verdict is Verdict.UNDECIDED
    assert dx.reason == (
        "the mean and the x_hat terms of dx vanish for this dy, so a mistake in them would not show: "
        "give a dy for which mean(dy) and mean(dy * x_hat) are not 0"
    )


def test_one_sample_is_undecided(make_case):
    dx = of_dx(NUMPY, make_case("1x9"), "complex-step")
    assert dx.verdict is Verdict.UNDECIDED
    assert "give 3 or more" in dx.reason


def test_features_that_cannot_be_judged_are_counted(make_case):
    case = make_case("9x4")
    gamma = case.gamma.copy()
    gamma[1] = 0
    case = dataclasses.replace(case, gamma=gamma)
    dx = of_dx(NUMPY, case, "complex-step")
    assert dx.verdict is Verdict.PASS
    assert dx.reason == "1 of 4 features have too small a gradient to be judged"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_in_one_feature_does_not_stop_the_others_from_being_judged(make_case, dtype):
    case = make_case(f"9x4/{dtype}")
    x = case.x.copy()
    x[2, 1] = np.nan
    case = dataclasses.replace(case, x=x)
    with np.errstate(all="ignore"):
        assert set(verdicts(NUMPY, case).values()) <= {Verdict.PASS, Verdict.UNDECIDED}
        assert verdicts(with_dx(WRONG_DX["overall 0.1 %"]), case)["dx"] is not Verdict.PASS


def test_what_rests_on_a_reference_that_fails_its_own_check_is_undecided(make_case, monkeypatch):
    def backward(dy, saved, *, out=None):
        return dy * 0, *NUMPY.backward(dy, saved)[1:]

    reference = load_kernel("reference")
    monkeypatch.setattr(gradcheck, "load_kernel", lambda name: dataclasses.replace(reference, backward=backward))
    case = make_case("6x7/float32")
    found = {f.array: f for f in gradcheck.check(with_parameters(lambda dx, dg, db, dy, saved: (dx, dg, 2 * db)), case)}
    for array in ("y", "dx", "dgamma"):
        assert found[array].verdict is Verdict.UNDECIDED
        assert found[array].reason == "the reference itself could not be checked here: dx: WRONG"
    assert (found["dbeta"].verdict, found["dbeta"].reason) == (Verdict.WRONG, "")
    with pytest.raises(InputError, match="--method central takes slopes"):
        gradcheck.check(NUMPY, case, method=gradcheck.Method.CENTRAL)


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
    assert seeds == [(11, True), (11, True), (12, False), (0, True)]
    for limit, features in ((70, range(7)), (30, [0, 3, 6]), (29, [0, 6]), (10, [0]), (3, [0])):
        monkeypatch.setattr(gradcheck, "DIFFERENTIATED", limit)
        np.testing.assert_array_equal(gradcheck.differentiated_features(Problem((10, 7))), features)


def test_each_gradient_is_compared_with_its_own_slope(make_case):
    found = gradcheck.check(NUMPY, make_case("6x7"), method=gradcheck.Method.DIRECTIONAL)
    assert [(f.array, f.method) for f in found] == [
        *((array, "reference") for array in ("y", "dx", "dgamma", "dbeta")),
        *(("dx", "directional"), ("dgamma", "central"), ("dbeta", "central")),
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


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("fault", WRONG_DX)
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


def test_a_gradient_of_something_else_says_so_beside_the_reference(make_case):
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


def test_accuracy_sees_what_float32_loses(make_case):
    # E[x**2] - E[x]**2, the cancellation that no kernel here computes.
    def forward(x, gamma, beta, epsilon):
        mean = x.mean(SAMPLES)
        var = (x * x).mean(SAMPLES) - mean * mean
        scale = gamma / np.sqrt(np.maximum(var, 0) + np.float32(epsilon))
        return (x - mean[:, None]) * scale[:, None] + beta[:, None], None

    case = make_case("64x50/per-activation/float32/eps=1e-05", mean=100.0)
    for function, verdict in ((forward, Verdict.WRONG), (NUMPY.forward, Verdict.PASS)):
        y, _ = function(case.x, case.gamma, case.beta, case.problem.epsilon)
        (finding,) = accuracy.judge(NUMPY, case, {"y": y})
        assert finding.verdict is verdict


def test_digits_that_a_rounded_mean_costs_far_from_0_are_inexact(make_case):
    # At mean / std = 1e6 a mean in float32 is some percent of a deviation off.
    case = make_case("64x50/float32/eps=1e-05", mean=1e6)

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return y, saved._replace(mean=saved.mean.astype(np.float32))

    found = {f.array: f for f in gradcheck.check(Kernel(forward, NUMPY.backward, name="rounded"), case)}
    assert found["dx"].verdict is Verdict.INEXACT
    assert "digits are lost far from 0" in found["dx"].reason
    assert found["dbeta"].verdict is Verdict.PASS
    # Who keeps the digits of the mean has nothing to hide,
    assert set(verdicts(NUMPY, case).values()) == {Verdict.PASS}
    # and what is beyond even that tolerance is wrong all the same.
    assert verdicts(with_dx(WRONG_DX["zero"]), make_case("64x50/float32/eps=1e-05", mean=1e3))["dx"] is Verdict.WRONG


@pytest.mark.parametrize("fault", [name for name in WRONG_DX if "0.1 %" in name])
def test_a_small_mistake_that_conditioning_hides_shows_on_benign_data(make_case, fault):
    found = gradcheck.check(with_dx(WRONG_DX[fault]), make_case("64x50/float32/eps=1e-05", mean=1e4))
    assert "benign-data" in found[-1].broken or verdicts_of(found)["dx"] is Verdict.WRONG


def test_accuracy_judges_every_block_of_features(make_case, monkeypatch):
    monkeypatch.setattr(accuracy, "BLOCK", 40)
    case = make_case("10x23")
    for feature in (0, 4, 22):

        def fault(dx, *_, feature=feature):
            dx[7, feature] += 1e-6
            return dx

        found = {finding.array: finding for finding in accuracy.check(with_dx(fault), case)}
        assert found["dx"].verdict is Verdict.WRONG
        assert found["dx"].index == (7, feature)
        assert found["dx"].total == found["dx"].checked == 230


def test_budgets_do_not_depend_on_the_scale_of_the_data(make_case):
    shares = []
    for scale in (1e-6, 1.0, 1e6):
        case = make_case("40x6/eps=0.0", mean=3 * scale, std=scale)
        shares.append(max(finding.share for finding in accuracy.check(NUMPY, case)))
    assert max(shares) < 1
    assert max(shares) < 10 * min(shares)


def test_a_budget_of_roundings(make_case):
    case = make_case("100x3/float32")
    assert tolerance.budget(case.problem) == pytest.approx(132 * 2**-24)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_budget_grows_until_it_would_hide_a_mistake(dtype):
    budgets = [tolerance.budget(Problem((samples, 3), dtype=dtype)) for samples in (1, 100, 10**4, 10**6, 10**8)]
    assert budgets == sorted(budgets)
    assert budgets[-1] < 1e-3


def test_digits_and_shares():
    finding = Finding("k", "y", "reference", Verdict.PASS, error=1e-7, budget=1e-6)
    assert finding.digits(2**-53) == pytest.approx(7)
    assert finding.share == pytest.approx(0.1)
    exact = dataclasses.replace(finding, error=0.0)
    assert exact.digits(2**-24) == pytest.approx(7.22, abs=0.01)
    assert dataclasses.replace(finding, error=np.inf).digits(2**-24) == 0
    assert worst([exact, finding]) is finding


def test_gradients_are_named_in_the_order_of_backward():
    assert Gradients._fields == ("dx", "dgamma", "dbeta")
